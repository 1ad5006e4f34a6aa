"""The SHA-256 of a data set: of its arrays, whatever file or download they came from."""

from __future__ import annotations

import hashlib

from nets.datasets.base import Dataset

PARTS = ("train_inputs", "train_labels", "test_inputs", "test_labels")


def sha256(dataset: Dataset) -> str:
    """In hex, over each array of `PARTS`: a line `name dtype shape`, as `train_labels int32 [60000]`, then its bytes.

    The bytes are in row-major order, numbers in little endian. About a second for 10^9 bytes; other threads go on.
    """
    digest = hashlib.sha256()
    for name in PARTS:
        array = getattr(dataset, name)
        digest.update(f"{name} {array.dtype.name} {list(array.shape)}\n".encode())
        digest.update(array.astype(array.dtype.newbyteorder("<"), order="C", copy=False).data)
    return digest.hexdigest()
