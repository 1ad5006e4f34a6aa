"""What a data set is, and the registry that knows them all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nets.errors import DataError
from nets.spec.registry import Names
from nets.spec.values import Kind, Value
from nets.spec.words import closest

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.integer]

# By kind: the type of the samples, in memory and on the device. Images are grey values 0..255.
DTYPES: Mapping[Kind, type[np.generic]] = {
    "image": np.uint8,
    "features": np.float32,
    "sequence": np.float32,
    "tokens": np.int32,
}


@dataclass(frozen=True)
class DatasetInfo:
    """What is known of a data set before a byte of it is read.

    value: one sample. download_mb: 10^6 bytes, None when nothing is downloaded. homepage: where it comes from.
    """

    name: str
    title: str
    description: str
    value: Value
    classes: tuple[str, ...]
    train_size: int
    test_size: int
    download_mb: float | None
    bundled: bool
    homepage: str

    @property
    def shape(self) -> tuple[int, ...]:
        """The axes of one sample in an array: height, width and channels of an image."""
        return self.value.canonical

    @property
    def sample_bytes(self) -> int:
        """What one sample takes."""
        return self.value.size * np.dtype(DTYPES[self.value.kind]).itemsize


class Arrays(NamedTuple):
    """A data set of images as its cache file holds it: images uint8 [n, h, w, c], labels integers [n]."""

    train_images: Images
    train_labels: Labels
    test_images: Images
    test_labels: Labels


@dataclass(frozen=True)
class Dataset:
    """A data set in memory: samples by their kind (see DTYPES) in canonical order, labels int32 [n]; contiguous.

    info: as registered, but with the sizes of these very arrays (a cache file may hold a part of the data set).
    """

    info: DatasetInfo
    train_inputs: npt.NDArray[Any]
    train_labels: npt.NDArray[np.int32]
    test_inputs: npt.NDArray[Any]
    test_labels: npt.NDArray[np.int32]


DATASETS: Names[DatasetInfo] = Names("data set")


def register(entry: DatasetInfo) -> DatasetInfo:
    """Adds a data set to `DATASETS`. ValueError if its name is taken."""
    return DATASETS.add(entry.name, entry)


def info(name: str) -> DatasetInfo:
    """The registered description of `name`. DataError, with the nearest name, if there is none."""
    if name in DATASETS:
        return DATASETS[name]
    near = closest(name, DATASETS)
    hint = f'did you mean "{near[0]}"? ' if near else ""
    raise DataError(f'there is no data set "{name}": {hint}Choose one of {", ".join(DATASETS)}')
