"""The metrics: each family in a file of its own. Importing this fills `METRICS`."""

from nets.metrics import accuracy, confidence, confusion, ranking, residuals
from nets.metrics.base import METRICS, Metric
from nets.metrics.measuring import Measured, measured
from nets.metrics.mistakes import mistakes_shown
from nets.metrics.reading import Reading, Undefined, baseline_accuracy
from nets.metrics.several import SEVERAL

__all__ = [
    "METRICS",
    "SEVERAL",
    "Measured",
    "Metric",
    "Reading",
    "Undefined",
    "accuracy",
    "baseline_accuracy",
    "confidence",
    "confusion",
    "measured",
    "mistakes_shown",
    "ranking",
    "residuals",
]
