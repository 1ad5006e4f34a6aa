"""The data sets that networks are trained on."""

from nets.datasets import catalog as catalog  # registers them
from nets.datasets.access import available, default_data_dir, is_cached, load, prepare, problem, source, state
from nets.datasets.arrays import from_arrays
from nets.datasets.base import DATASETS, DTYPES, Dataset, DatasetInfo, info, register
from nets.datasets.digest import sha256

__all__ = [
    "DATASETS",
    "DTYPES",
    "Dataset",
    "DatasetInfo",
    "available",
    "default_data_dir",
    "from_arrays",
    "info",
    "is_cached",
    "load",
    "prepare",
    "problem",
    "register",
    "sha256",
    "source",
    "state",
]
