"""A client of a Lamina server, in Python: `from backend.client import Client`. Needs no JAX."""

from backend.client.answers import (
    Answer,
    Best,
    Dataset,
    Device,
    Health,
    Inspected,
    LayerType,
    Metric,
    Model,
    Prediction,
    Promoted,
    Run,
    Started,
)
from backend.client.benchmark_calls import Benchmark
from backend.client.client import Client
from backend.client.comparisons import Comparison
from backend.client.download import Saved
from backend.client.errors import (
    Ambiguous,
    Conflict,
    Faulty,
    Invalid,
    LaminaError,
    NoRoom,
    NotFound,
    Problem,
    Refused,
    TimedOut,
    Unauthorized,
    Unavailable,
    Unreachable,
    Unusable,
)
from backend.client.evaluation_calls import Evaluated
from backend.client.example_calls import Example
from backend.client.stream import Event

__all__ = [
    "Ambiguous",
    "Answer",
    "Benchmark",
    "Best",
    "Client",
    "Comparison",
    "Conflict",
    "Dataset",
    "Device",
    "Evaluated",
    "Event",
    "Example",
    "Faulty",
    "Health",
    "Inspected",
    "Invalid",
    "LaminaError",
    "LayerType",
    "Metric",
    "Model",
    "NoRoom",
    "NotFound",
    "Prediction",
    "Problem",
    "Promoted",
    "Refused",
    "Run",
    "Saved",
    "Started",
    "TimedOut",
    "Unauthorized",
    "Unavailable",
    "Unreachable",
    "Unusable",
]
