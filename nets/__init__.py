"""Neural networks from JSON: checked, compiled, trained, kept. A library: no threads, no HTTP, no database.

The names below are loaded when first used: whoever wants only the data sets does not wait for JAX.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nets.architecture.architecture import Architecture
    from nets.architecture.read import parse_architecture
    from nets.benchmarks.bench import bench
    from nets.checkpoint import load_weights, save_weights
    from nets.errors import CheckpointError, DataError, NetsError, Problem, SpecError, TrainingError
    from nets.exchange.named import named_arrays
    from nets.hyperparams.hyperparams import Hyperparams, parse_hyperparams
    from nets.inference import Predictor
    from nets.inspection.report import inspect
    from nets.network import Network, initial_variables
    from nets.training.cache import ProgramCache
    from nets.training.check import check_fit
    from nets.training.fit import fit

HOMES = {
    "Architecture": "architecture.architecture",
    "CheckpointError": "errors",
    "DataError": "errors",
    "Hyperparams": "hyperparams.hyperparams",
    "NetsError": "errors",
    "Network": "network",
    "Predictor": "inference",
    "Problem": "errors",
    "ProgramCache": "training.cache",
    "SpecError": "errors",
    "TrainingError": "errors",
    "bench": "benchmarks.bench",
    "check_fit": "training.check",
    "check_pace": "training.check",
    "fit": "training.fit",
    "initial_variables": "network",
    "inspect": "inspection.report",
    "load_weights": "checkpoint",
    "named_arrays": "exchange.named",
    "parse_architecture": "architecture.read",
    "parse_hyperparams": "hyperparams.hyperparams",
    "save_weights": "checkpoint",
}

__all__ = [
    "Architecture",
    "CheckpointError",
    "DataError",
    "Hyperparams",
    "NetsError",
    "Network",
    "Predictor",
    "Problem",
    "ProgramCache",
    "SpecError",
    "TrainingError",
    "bench",
    "check_fit",
    "check_pace",
    "fit",
    "initial_variables",
    "inspect",
    "load_weights",
    "named_arrays",
    "parse_architecture",
    "parse_hyperparams",
    "save_weights",
]


def __getattr__(name: str) -> object:
    if name not in HOMES:
        raise AttributeError(f"module 'nets' has no attribute {name!r}")
    return getattr(import_module(f"nets.{HOMES[name]}"), name)
