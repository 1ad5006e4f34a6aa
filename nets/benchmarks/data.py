"""What networks are measured on: their data set where it is at hand, else one of the same shape. Nothing is fetched."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nets.datasets import DTYPES, Dataset, DatasetInfo, info, is_cached, load
from nets.hyperparams.hyperparams import Hyperparams

DEFAULT, BUNDLED, SYNTHETIC = "mnist", "digits", "synthetic"
SEED = 0


def wanted(hyperparams: Hyperparams) -> DatasetInfo:
    """The data set that a body asks for."""
    return info(hyperparams.dataset_type or DEFAULT)


def choice(hyperparams: Hyperparams, data_dir: Path) -> str:
    """The name of a data set, or `synthetic`: random numbers in the shape of the one that is asked for."""
    asked = wanted(hyperparams)
    if asked.bundled or is_cached(asked.name, data_dir):
        return asked.name
    bundled = info(BUNDLED)
    alike = (bundled.value, len(bundled.classes)) == (asked.value, len(asked.classes))
    return BUNDLED if alike else SYNTHETIC


def dataset_of(hyperparams: Hyperparams, chosen: str, data_dir: Path) -> Dataset:
    """The data set of a `choice`. Random samples have random labels."""
    return synthetic(wanted(hyperparams)) if chosen == SYNTHETIC else load(chosen, data_dir)


def synthetic(about: DatasetInfo) -> Dataset:
    """As many samples, of the same shape and number of classes."""
    rng = np.random.default_rng(SEED)
    dtype = np.dtype(DTYPES[about.value.kind])

    def part(count: int) -> tuple[np.ndarray, np.ndarray]:
        shape = (count, *about.shape)
        whole = rng.integers(0, about.value.vocabulary or 256, shape)
        inputs = rng.standard_normal(shape) if dtype.kind == "f" else whole
        return inputs.astype(dtype), rng.integers(0, len(about.classes), count, np.int32)

    return Dataset(about, *part(about.train_size), *part(about.test_size))
