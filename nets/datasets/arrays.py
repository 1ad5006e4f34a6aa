"""A data set from arrays: images, rows of features, sequences or tokens, each sample of one class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nets.datasets.base import DTYPES, Dataset, DatasetInfo
from nets.errors import DataError
from nets.spec.values import AXES, Kind, Value, image

Array = npt.NDArray[Any]
KINDS = (
    "uint8 images [n, height, width] or [n, height, width, channels], floats as features [n, features] or sequences "
    "[n, length, features], or integers as tokens [n, length]"
)
# By the type of the inputs, what they may hold.
HELD: Mapping[str, tuple[Kind, ...]] = {
    "bytes": ("image",),
    "floats": ("features", "sequence"),
    "integers": ("tokens",),
}


def from_arrays(
    train_inputs: npt.ArrayLike,
    train_labels: npt.ArrayLike,
    test_inputs: npt.ArrayLike,
    test_labels: npt.ArrayLike,
    *,
    name: str = "arrays",
    classes: Sequence[str] | None = None,
    vocabulary: int | None = None,
) -> Dataset:
    """A data set to train on by `fit`. What the samples are follows from type and axes of the inputs.

    uint8 [n, height, width] or [n, height, width, channels]: images. Floats [n, features]: features; floats [n, length,
    features]: sequences. Other integers [n, length]: tokens. Labels: integers [n], the indices of the classes.
    classes: their names, else 0, 1, 2, ... vocabulary: how many different tokens there may be, else as many as come.
    DataError, with the array that breaks a rule.
    """
    train, test = _with_channel(np.asarray(train_inputs)), _with_channel(np.asarray(test_inputs))
    labels = np.asarray(train_labels), np.asarray(test_labels)
    most = max(_checked("train", train, labels[0]), _checked("test", test, labels[1]))
    named = tuple(classes) if classes is not None else tuple(map(str, range(max(most + 1, 2))))
    if most >= len(named):
        raise DataError(f"labels must be from 0 to {len(named) - 1}, the indices of the classes, got {most}")
    value = _value(train, test, vocabulary)
    dtype = DTYPES[value.kind]
    counts, told = (len(train), len(test)), "Made from arrays."
    return Dataset(
        DatasetInfo(name, name, told, value, named, *counts, download_mb=None, bundled=False, homepage=""),
        np.ascontiguousarray(train, dtype),
        np.ascontiguousarray(labels[0], np.int32),
        np.ascontiguousarray(test, dtype),
        np.ascontiguousarray(labels[1], np.int32),
    )


def _with_channel(inputs: Array) -> Array:
    return inputs[..., None] if inputs.dtype == np.uint8 and inputs.ndim == 3 else inputs


def _checked(part: str, inputs: Array, labels: Array) -> int:
    """The largest label. DataError unless there is a class for each of some samples, and all numbers are finite."""
    if not inputs.size:
        raise DataError(f"{part}_inputs must hold at least one sample of at least one number, got {list(inputs.shape)}")
    if labels.shape != inputs.shape[:1] or not np.issubdtype(labels.dtype, np.integer):
        rule = f"{part}_labels must be {len(inputs)} integers, one for each sample"
        raise DataError(f"{rule}, got {labels.dtype} {list(labels.shape)}")
    if labels.min() < 0:
        raise DataError(f"{part}_labels must be 0 or more, the indices of the classes, got {labels.min()}")
    if np.issubdtype(inputs.dtype, np.floating):
        with np.errstate(over="ignore"):
            finite = bool(np.isfinite(inputs.astype(np.float32)).all())
        if not finite:
            raise DataError(f"{part}_inputs must hold finite numbers of float32; replace or drop what is missing")
    return int(labels.max())


def _value(train: Array, test: Array, vocabulary: int | None) -> Value:
    """What one sample is."""
    if _group(train) != _group(test):
        raise DataError(f"test_inputs must be of the type of train_inputs, {train.dtype}, got {test.dtype}")
    kind, axes = _kind(train), train.shape[1:]
    if test.shape[1:] != axes:
        wanted = ", ".join(map(str, axes))
        raise DataError(f"test_inputs must be [n, {wanted}] as train_inputs are, got {list(test.shape)}")
    if kind == "tokens":
        return Value(kind, axes, _vocabulary(train, test, vocabulary))
    return image(axes[2], axes[0], axes[1]) if kind == "image" else Value(kind, axes)


def _kind(train: Array) -> Kind:
    group, axes = _group(train), train.shape[1:]
    for kind in HELD.get(group, ()):
        if len(axes) == len(AXES[kind]):
            return kind
    image_like = group == "floats" and len(axes) == len(AXES["image"])
    cure = "; images of floats 0..1 become uint8 by (x * 255).round()" if image_like else ""
    raise DataError(f"train_inputs must be {KINDS}, got {train.dtype} {list(train.shape)}{cure}")


def _group(inputs: Array) -> str:
    if inputs.dtype == np.uint8:
        return "bytes"
    for kind, group in ((np.floating, "floats"), (np.integer, "integers")):
        if np.issubdtype(inputs.dtype, kind):
            return group
    return "others"


def _vocabulary(train: Array, test: Array, vocabulary: int | None) -> int:
    """How many different tokens there are, or may be."""
    least, most = min(train.min(), test.min()), max(train.max(), test.max())
    known = max(int(most) + 1, 1) if vocabulary is None else vocabulary
    if least < 0 or most >= known:
        raise DataError(f"tokens must be from 0 to {known - 1}, got {least} to {most}")
    return known
