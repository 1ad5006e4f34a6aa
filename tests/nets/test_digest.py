"""The digest of a data set: of its arrays, and of nothing else."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np

from nets.datasets import from_arrays, sha256

IMAGES = np.arange(2 * 28 * 28, dtype=np.int64).reshape(2, 28, 28).astype(np.uint8)


def test_it_is_what_the_document_says() -> None:
    data = from_arrays(IMAGES, [0, 1], IMAGES[:1], [1], name="some")
    parts = (
        b"train_inputs uint8 [2, 28, 28, 1]\n" + IMAGES.tobytes(),
        b"train_labels int32 [2]\n" + np.array([0, 1], "<i4").tobytes(),
        b"test_inputs uint8 [1, 28, 28, 1]\n" + IMAGES[:1].tobytes(),
        b"test_labels int32 [1]\n" + np.array([1], "<i4").tobytes(),
    )
    assert sha256(data) == hashlib.sha256(b"".join(parts)).hexdigest()


def test_it_follows_the_arrays_and_not_how_they_lie() -> None:
    data = from_arrays(IMAGES, [0, 1], IMAGES, [0, 1])
    assert sha256(replace(data, train_inputs=np.asfortranarray(data.train_inputs))) == sha256(data)
    assert sha256(replace(data, test_labels=data.test_labels.astype(">i4"))) == sha256(data)
    assert sha256(replace(data, test_labels=data.test_labels[::-1].copy())) != sha256(data)
    other = from_arrays(IMAGES, [0, 1], IMAGES, [0, 1], name="another")
    assert sha256(other) == sha256(data)
