"""Neural networks from JSON: checked, compiled, trained, kept. A library: no threads, no HTTP, no database."""

from nets.architecture import Architecture, parse_architecture
from nets.check import check_fit
from nets.checkpoint import load_weights, save_weights
from nets.errors import CheckpointError, DataError, NetsError, Problem, SpecError, TrainingError
from nets.hyperparams import Hyperparams, parse_hyperparams
from nets.inference import Predictor
from nets.network import Network, initial_variables
from nets.training import fit

__all__ = [
    "Architecture",
    "CheckpointError",
    "DataError",
    "Hyperparams",
    "NetsError",
    "Network",
    "Predictor",
    "Problem",
    "SpecError",
    "TrainingError",
    "check_fit",
    "fit",
    "initial_variables",
    "load_weights",
    "parse_architecture",
    "parse_hyperparams",
    "save_weights",
]
