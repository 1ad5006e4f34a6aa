"""The file formats that the data sets are published in, read with numpy and the standard library."""

from __future__ import annotations

import gzip
import math
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from nets.datasets.base import Arrays
from nets.datasets.progress import Report
from nets.errors import DataError

Files = Mapping[str, Path]
IDX_FILES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)
LETTER_FILES = tuple(
    f"gzip/emnist-letters-{part}-{kind}-ubyte.gz"
    for part in ("train", "test")
    for kind in ("images-idx3", "labels-idx1")
)
CIFAR_FILES = tuple(
    f"cifar-10-batches-bin/{name}.bin" for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch")
)
CIFAR_SHAPE = (3, 32, 32)


def idx_files(files: Files, report: Report) -> Arrays:
    """The four IDX files of MNIST and its relatives, gzipped or not."""
    parts = []
    for number, name in enumerate(IDX_FILES):
        report(number / len(IDX_FILES), f"reading {files[name].name}")
        with _readable(files[name]):
            parts.append(idx(_plain(files[name].read_bytes())))
    return _from_idx(parts)


def letter_files(files: Files, report: Report) -> Arrays:
    """The "letters" of EMNIST as they are stored: on their side, labels 1 to 26. From its archive or what was in it."""
    if all(name in files for name in LETTER_FILES):
        return idx_files(dict(zip(IDX_FILES, (files[name] for name in LETTER_FILES), strict=True)), report)
    (path,) = files.values()
    parts = []
    with _readable(path), zipfile.ZipFile(path) as archive:
        for number, name in enumerate(LETTER_FILES):
            report(number / len(LETTER_FILES), f"reading {name}")
            parts.append(idx(_plain(archive.read(name))))
    return _from_idx(parts)


def cifar_files(files: Files, report: Report) -> Arrays:
    """CIFAR-10's binary files, or the archive of them: records of one label byte and 3,072 bytes red, green, blue."""
    batches: dict[str, npt.NDArray[np.uint8]] = {}
    for place, name, content in _cifar_parts(files):
        with _readable(place):
            report(len(batches) / len(CIFAR_FILES), f"reading {name}")
            batches[name] = np.frombuffer(content, dtype=np.uint8).reshape(-1, 1 + math.prod(CIFAR_SHAPE))
    with _readable(next(iter(files.values()))):
        train = np.concatenate([batches[name] for name in CIFAR_FILES[:-1]])
        test = batches[CIFAR_FILES[-1]]
    return Arrays(*_cifar(train), *_cifar(test))


def _cifar_parts(files: Files) -> Iterator[tuple[Path, str, bytes]]:
    """Where each part is read from, its name and its content."""
    if all(name in files for name in CIFAR_FILES):
        for name in CIFAR_FILES:
            with _readable(files[name]):
                content = files[name].read_bytes()
            yield files[name], name, content
        return
    (path,) = files.values()
    with _readable(path), tarfile.open(path, "r:gz") as archive:
        for member in archive:
            file = archive.extractfile(member) if member.name in CIFAR_FILES else None
            if file is not None:
                yield path, member.name, file.read()


def upright_letters(arrays: Arrays) -> Arrays:
    """EMNIST letters as one reads them: rows and columns exchanged, A to Z as 0 to 25."""
    return Arrays(
        arrays.train_images.swapaxes(1, 2),
        arrays.train_labels.astype(np.int32) - 1,
        arrays.test_images.swapaxes(1, 2),
        arrays.test_labels.astype(np.int32) - 1,
    )


def idx(data: bytes) -> npt.NDArray[np.uint8]:
    """An IDX file of unsigned bytes: two zero bytes, the type, the rank, the sizes, the values. ValueError."""
    if len(data) < 4 or data[:3] != b"\0\0\x08" or len(data) < 4 + 4 * data[3]:
        raise ValueError(f"not an IDX file of bytes: it starts with {data[:4]!r}")
    shape = struct.unpack_from(f">{data[3]}I", data, 4)
    values = np.frombuffer(data, dtype=np.uint8, offset=4 + 4 * len(shape))
    if values.size != math.prod(shape):
        raise ValueError(f"its header promises {math.prod(shape)} values, {values.size} follow")
    return values.reshape(shape)


def tfrecords(path: Path) -> Iterator[bytes]:
    """The records of a tfrecord file: u64 length, u32 checksum, data, u32 checksum; ValueError if it is cut off."""
    with path.open("rb") as file:
        while header := file.read(12):
            record = _exactly(file, struct.unpack("<Q", header[:8])[0] + 4) if len(header) == 12 else b""
            if not record:
                raise ValueError(f"{path.name} is cut off")
            yield record[:-4]


def _exactly(file: IO[bytes], size: int) -> bytes:
    data = file.read(size)
    return data if len(data) == size else b""


def _plain(data: bytes) -> bytes:
    """The content of a file that may be gzipped."""
    return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data


def _from_idx(parts: list[npt.NDArray[np.uint8]]) -> Arrays:
    train_images, train_labels, test_images, test_labels = parts
    return Arrays(train_images[..., None], train_labels, test_images[..., None], test_labels)


def _cifar(records: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    return records[:, 1:].reshape(-1, *CIFAR_SHAPE).transpose(0, 2, 3, 1), records[:, 0]


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turns everything that a damaged file can cause into a DataError that names it."""
    try:
        yield
    except (OSError, EOFError, ValueError, KeyError, zlib.error, zipfile.BadZipFile, tarfile.TarError) as error:
        raise DataError(f"{path.name} is damaged ({error}): delete it and try again") from error
