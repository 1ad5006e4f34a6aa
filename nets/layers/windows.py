"""Sliding windows: what kernel, stride, padding and dilation make of an image's size."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, WithJsonSchema

from nets.spec.fields import Pair, did_you_mean, pair, shown, size, size_schema
from nets.spec.values import Value

SMALL = 15  # pixels: no window up to this size is refused, so that deep networks may pool down to one pixel


def padding(value: object) -> int | Pair | str:
    if isinstance(value, str):
        if value not in ("same", "valid"):
            rule = f"must be 'same', 'valid', a whole number or a pair of them, got {shown(value)}"
            raise ValueError(f"{rule}.{did_you_mean(value, ('same', 'valid'))}")
        return value
    try:
        return size(value, least=0)
    except ValueError as error:
        raise ValueError(f"{error}; 'same' and 'valid' work too") from None


PADDING = {"anyOf": [*size_schema(least=0)["anyOf"], {"enum": ["same", "valid"]}]}
PaddingField = Annotated[int | Pair | Literal["same", "valid"], BeforeValidator(padding), WithJsonSchema(PADDING)]


def pads(
    rule: int | Pair | str, image: Pair, *, window: Pair, stride: Pair, dilation: Pair = (1, 1)
) -> tuple[Pair, Pair]:
    """Rows and columns to add as ((top, bottom), (left, right)).

    `same` gives ceil(size / stride) outputs, the odd pixel at the end: PyTorch's rule, and for strides TensorFlow's.
    """
    if not isinstance(rule, str):
        high, wide = pair(rule)
        return (high, high), (wide, wide)
    if rule == "valid":
        return (0, 0), (0, 0)
    totals = [
        max((-(-n // s) - 1) * s + d * (k - 1) + 1 - n, 0)
        for n, k, s, d in zip(image, window, stride, dilation, strict=True)
    ]
    return (totals[0] // 2, totals[0] - totals[0] // 2), (totals[1] // 2, totals[1] - totals[1] // 2)


def too_wide(image: Pair, *, window: Pair, dilation: Pair = (1, 1)) -> str | None:
    """Why a window is wider than any two of its places on an image could use; None if it is not.

    Beyond twice the image, less one, its edges meet nothing but padding wherever it stands.
    """
    for n, k, d in zip(image, window, dilation, strict=True):
        extent = d * (k - 1) + 1
        if extent > max(2 * n - 1, SMALL):
            return (
                f"spans {extent} pixels of a side of {n}; more than {max(2 * n - 1, SMALL)} would only ever see padding"
            )
    return None


def padded(value: Value, padding: tuple[Pair, Pair], stride: Pair) -> int:
    """How many numbers an image has with its padding, and with rows and columns for a last stride that leads beyond."""
    sides = (n + sum(p) for n, p in zip(value.shape[1:], padding, strict=True))
    high, wide = (side + min(s, side) - 1 for side, s in zip(sides, stride, strict=True))
    return value.channels * high * wide


def outputs(image: Pair, padded: tuple[Pair, Pair], *, window: Pair, stride: Pair, dilation: Pair = (1, 1)) -> Pair:
    """How many windows fit along each axis (floor mode); below 1 where the window is larger than the image."""
    high, wide = (
        (n + sum(p) - d * (k - 1) - 1) // s + 1
        for n, p, k, s, d in zip(image, padded, window, stride, dilation, strict=True)
    )
    return high, wide
