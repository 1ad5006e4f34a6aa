"""What a data set is, and the registry that knows them all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nets.errors import DataError
from nets.spec.registry import Names
from nets.spec.words import closest

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.integer]


@dataclass(frozen=True)
class DatasetInfo:
    """What is known of a data set before a byte of it is read.

    shape: height, width, channels of one image. download_mb: 10^6 bytes, None when nothing is downloaded.
    homepage: where it comes from.
    """

    name: str
    title: str
    description: str
    shape: tuple[int, int, int]
    classes: tuple[str, ...]
    train_size: int
    test_size: int
    download_mb: float | None
    bundled: bool
    homepage: str


class Arrays(NamedTuple):
    """The four arrays of a data set: images uint8 [n, h, w, c], labels integers [n]. The fields of the cache file."""

    train_images: Images
    train_labels: Labels
    test_images: Images
    test_labels: Labels


@dataclass(frozen=True)
class Dataset:
    """A data set in memory: images uint8 [n, h, w, c] and labels int32 [n], contiguous.

    info: as registered, but with the sizes of these very arrays (a cache file may hold a part of the data set).
    """

    info: DatasetInfo
    train_images: npt.NDArray[np.uint8]
    train_labels: npt.NDArray[np.int32]
    test_images: npt.NDArray[np.uint8]
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
