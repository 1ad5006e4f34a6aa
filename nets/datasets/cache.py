"""The cache file of a data set: `<data_dir>/<name>.npz` with the four arrays of `Arrays`, or Keras's own file."""

from __future__ import annotations

import time
import zipfile
import zlib
from collections.abc import Collection
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from nets.datasets.base import Arrays, Dataset, DatasetInfo, Images, Labels
from nets.durable import replacing
from nets.errors import DataError

KERAS = ("x_train", "y_train", "x_test", "y_test")  # the names in Keras's mnist.npz, in the order of `Arrays`
ABANDONED = 600.0  # seconds without a change after which an unfinished file belongs to nobody


def cache_path(name: str, data_dir: Path) -> Path:
    """Where the data set is kept once it is had."""
    return data_dir / f"{name}.npz"


def damage(path: Path) -> str | None:
    """Why the file cannot be a cache file, from its table of contents alone (about a millisecond); None if it can."""
    try:
        with zipfile.ZipFile(path) as archive:
            held = {name.removesuffix(".npy") for name in archive.namelist()}
    except (OSError, zipfile.BadZipFile) as error:
        return _damaged(path, str(error))
    missing = set(_names(held)) - held
    return _damaged(path, f"it holds no {min(missing)}") if missing else None


def unreadable(path: Path, info: DatasetInfo) -> str | None:
    """Why `read` would refuse the file, every byte looked at (0.1 s for MNIST, once per state of the file); or None."""
    try:
        status = path.stat()
    except OSError as error:
        return _damaged(path, str(error.strerror))
    return _unreadable(path, info, (status.st_ino, status.st_size, status.st_mtime_ns))


@lru_cache(maxsize=32)
def _unreadable(path: Path, info: DatasetInfo, _state: tuple[int, ...]) -> str | None:
    try:
        _arrays(path, info)
    except DataError as error:
        return str(error)
    return None


def read(path: Path, info: DatasetInfo) -> Dataset:
    """The data set in a cache file. It may hold fewer images than `info` says, but of the same kind. DataError."""
    arrays = _arrays(path, info)
    train, test = len(arrays.train_images), len(arrays.test_images)
    return Dataset(
        info=replace(info, train_size=train, test_size=test),
        train_inputs=np.ascontiguousarray(arrays.train_images),
        train_labels=np.ascontiguousarray(arrays.train_labels, dtype=np.int32),
        test_inputs=np.ascontiguousarray(arrays.test_images),
        test_labels=np.ascontiguousarray(arrays.test_labels, dtype=np.int32),
    )


def _arrays(path: Path, info: DatasetInfo) -> Arrays:
    """What the file holds, as `Arrays` has it: grey images get their one channel, columns of labels become rows."""
    if reason := damage(path):
        raise DataError(reason)
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = Arrays(*(archive[name] for name in _names(archive.files)))
    except (OSError, EOFError, ValueError, KeyError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(_damaged(path, str(error))) from error
    arrays = Arrays(
        _with_channel(arrays.train_images, info),
        _flat(arrays.train_labels),
        _with_channel(arrays.test_images, info),
        _flat(arrays.test_labels),
    )
    if reason := misfit(arrays, info):
        raise DataError(_damaged(path, reason))
    return arrays


def _names(held: Collection[str]) -> tuple[str, ...]:
    return KERAS if held and set(KERAS) <= set(held) else Arrays._fields


def _with_channel(images: Images, info: DatasetInfo) -> Images:
    return images[..., None] if info.shape[2] == 1 and images.shape[1:] == info.shape[:2] else images


def _flat(labels: Labels) -> Labels:
    return labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels


def misfit(arrays: Arrays, info: DatasetInfo) -> str | None:
    """Why these arrays are not a data set of the kind that `info` describes; None if they are. Sizes may differ."""
    pairs = {
        "train": (arrays.train_images, arrays.train_labels),
        "test": (arrays.test_images, arrays.test_labels),
    }
    for part, (images, labels) in pairs.items():
        if images.dtype != np.uint8 or images.shape[1:] != info.shape:
            want = f"uint8 [n, {', '.join(map(str, info.shape))}]"
            return f"{part}_images must be {want}, got {images.dtype} {list(images.shape)}"
        if labels.shape != (len(images),) or not np.issubdtype(labels.dtype, np.integer):
            return f"{part}_labels must be {len(images)} integers, got {labels.dtype} {list(labels.shape)}"
        if not len(images):
            return f"{part}_images is empty"
        if labels.min() < 0 or labels.max() >= len(info.classes):
            return f"{part}_labels must be from 0 to {len(info.classes) - 1}, got {labels.min()} to {labels.max()}"
    return None


def write(path: Path, arrays: Arrays) -> None:
    """Writes the cache file: whole or not at all, whatever happens in between. Not compressed: it loads faster."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path.parent, f".{path.name}.*.tmp")
    with replacing(path) as file:
        np.savez(file, **arrays._asdict())


def sweep(folder: Path, pattern: str) -> None:
    """Deletes what killed preparations left in `folder`: files, or folders of files, untouched for ten minutes."""
    for left in folder.glob(pattern):
        files = [file for file in left.iterdir() if file.is_file()] if left.is_dir() else [left]
        if time.time() - max(entry.stat().st_mtime for entry in [left, *files]) > ABANDONED:
            for file in files:
                file.unlink(missing_ok=True)
            if left.is_dir():
                left.rmdir()


def _damaged(path: Path, reason: str) -> str:
    cure = f"delete it, then run `lamina datasets prepare {path.stem}`"
    return f"{path.name} in the data directory is damaged ({reason}): {cure}"
