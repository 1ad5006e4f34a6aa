"""The bundled data set: scikit-learn's 1,797 scanned digits, made to look like MNIST."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nets.datasets.base import Dataset, info

SIDE = 28
BOX = 20  # MNIST scales a digit into 20x20 and centres that in 28x28
TEST_SIZE = 360
COPIES = 20
SEED = 1797
BLOCK = 96  # images at a time, so that the arrays between stay in the processor's cache

Floats = npt.NDArray[np.float32]


@cache
def build() -> Dataset:
    """The data set, made once per process (24 MB, read-only, the same on every machine).

    The test scans are set aside first: no copy of them is ever in the training part.
    """
    scans, labels = _scans()
    rng = np.random.default_rng(SEED)
    order = rng.permutation(len(scans))
    test, train = order[:TEST_SIZE], order[TEST_SIZE:]
    images = _enlarged(scans)
    copies = [_as_bytes(_deformed(images[train], rng)) for _ in range(COPIES)]
    dataset = Dataset(
        info=info("digits"),
        train_inputs=np.concatenate([_as_bytes(images[train]), *copies]),
        train_labels=np.tile(labels[train], COPIES + 1),
        test_inputs=_as_bytes(images[test]),
        test_labels=labels[test],
    )
    for array in (dataset.train_inputs, dataset.train_labels, dataset.test_inputs, dataset.test_labels):
        array.setflags(write=False)  # shared by everyone in this process
    return dataset


def _scans() -> tuple[Floats, npt.NDArray[np.int32]]:
    """The scans [1797, 8, 8] with values 0 to 1, and their labels. Source: the UCI optical digits in scikit-learn."""
    package = find_spec("sklearn")
    assert package is not None and package.submodule_search_locations, "scikit-learn is a dependency of Lamina"
    table = Path(package.submodule_search_locations[0], "datasets", "data", "digits.csv.gz")
    if table.is_file():  # importing sklearn.datasets would cost a second or more and 100 MB
        rows = np.loadtxt(table, delimiter=",", dtype=np.int32)
    else:
        from sklearn.datasets import load_digits

        pixels, targets = load_digits(return_X_y=True)
        rows = np.column_stack([pixels, targets]).astype(np.int32)
    return (rows[:, :64].reshape(-1, 8, 8) / np.float32(16)).astype(np.float32), rows[:, 64].astype(np.int32)


def _enlarged(scans: Floats) -> Floats:
    """Bilinear from 8x8 to 20x20, put into 28x28 so that the centre of mass is in the middle: as MNIST was made."""
    places = (np.arange(BOX) + 0.5) * (8 / BOX) - 0.5
    weights = np.stack([np.interp(places, np.arange(8), row) for row in np.eye(8)], axis=1).astype(np.float32)
    margin = (SIDE - BOX) // 2
    images: Floats = np.pad(weights @ scans @ weights.T, ((0, 0), (margin, margin), (margin, margin)))
    centres = np.stack([images.sum(2) @ _offsets(), images.sum(1) @ _offsets()], axis=1)
    whole_pixels = np.rint(centres / images.sum((1, 2))[:, None])
    return _sampled(images, np.tile(np.eye(2, dtype=np.float32), (len(images), 1, 1)), whole_pixels)


def _offsets() -> Floats:
    """How far each row, or column, is from the middle of an image."""
    return np.arange(SIDE, dtype=np.float32) - np.float32((SIDE - 1) / 2)


def _deformed(images: Floats, rng: np.random.Generator) -> Floats:
    """Every image once turned, slanted, scaled and moved a little, each in its own way.

    Of the few ranges tried, these carried over to MNIST best: its digits are wider than the scans, and more slanted.
    """
    count = len(images)
    turn, shear = rng.uniform(-0.35, 0.35, count), rng.uniform(-0.5, 0.5, count)
    height, width = rng.uniform(0.8, 1.2, count), rng.uniform(0.9, 1.7, count)
    shift = rng.uniform(-1, 1, (count, 2))
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]).transpose(2, 0, 1)
    stretch = np.array([[1 / height, 0 * shear], [shear, 1 / width]]).transpose(2, 0, 1)
    matrices, shifts = (rotation @ stretch).astype(np.float32), shift.astype(np.float32)
    blocks = [slice(start, start + BLOCK) for start in range(0, count, BLOCK)]
    return np.concatenate([_sampled(images[block], matrices[block], shifts[block]) for block in blocks])


def _sampled(images: Floats, matrices: Floats, shifts: Floats) -> Floats:
    """Bilinear samples of images [n, 28, 28]: each output pixel comes from matrix @ pixel + shift, about the centre.

    Hand-made because scipy.ndimage takes one image and one matrix at a time: 28,740 calls instead of 20.
    """
    stride = SIDE + 2  # a border of zeros: whatever lies outside is black
    flat = np.pad(images, ((0, 0), (1, 1), (1, 1))).reshape(-1)
    grid = _offsets()

    def source(axis: int) -> Floats:
        column, row = matrices[:, axis, 0, None, None], matrices[:, axis, 1, None, None]
        centre = shifts[:, axis, None, None] + np.float32((stride - 1) / 2)
        places: Floats = np.clip(column * grid[:, None] + (row * grid + centre), 0, np.float32(stride - 1.001))
        return places

    y, x = source(0), source(1)
    top, left = y.astype(np.int32), x.astype(np.int32)
    y -= top
    x -= left
    corner = top * stride + left + (np.arange(len(images), dtype=np.int32) * stride**2)[:, None, None]

    def between(corner: npt.NDArray[np.int32]) -> Floats:
        here: Floats = flat.take(corner)
        here += (flat.take(corner + 1) - here) * x
        return here

    upper = between(corner)
    upper += (between(corner + stride) - upper) * y
    return upper


def _as_bytes(images: Floats) -> npt.NDArray[np.uint8]:
    """Values 0 to 1 as uint8 [n, h, w, 1]."""
    pixels: npt.NDArray[np.uint8] = np.rint(images * np.float32(255)).astype(np.uint8)
    return pixels[..., None]
