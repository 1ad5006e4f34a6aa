"""Sliding windows: what kernel, stride, padding and dilation make of an image's size."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, WithJsonSchema

from nets.errors import UNSAID, BrokenRule
from nets.spec.fields import Pair, did_you_mean, pair, shown, size, size_schema, suggested
from nets.spec.values import Value

PADDINGS = ("same", "valid")
LARGEST = 64  # window, of either axis
SMALL = 15  # pixels: no window up to this size is refused, so that deep networks may pool down to one pixel


def padding(value: object) -> int | Pair | str:
    if isinstance(value, str):
        if value not in PADDINGS:
            rule = f"must be 'same', 'valid', a whole number or a pair of them, got {shown(value)}"
            near = suggested(value, PADDINGS)
            set_to = UNSAID if near is None else near
            raise BrokenRule(f"{rule}.{did_you_mean(value, PADDINGS)}", "not_one_of", suggestion=near, set_to=set_to)
        return value
    try:
        return size(value, least=0)
    except BrokenRule as error:
        raise BrokenRule(f"{error}; 'same' and 'valid' work too", error.code) from None


PADDING = {"anyOf": [*size_schema(least=0)["anyOf"], {"enum": list(PADDINGS)}]}
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


def largest_useful(image: Pair, dilation: Pair) -> Pair:
    """The largest window that `too_wide` lets through."""
    high, wide = ((max(2 * n - 1, SMALL) - 1) // d + 1 for n, d in zip(image, dilation, strict=True))
    return high, wide


def largest_inside(image: Pair, padding: tuple[Pair, Pair], dilation: Pair) -> Pair:
    """The largest window that lies inside of an image with its padding."""
    high, wide = ((n + sum(p) - 1) // d + 1 for n, p, d in zip(image, padding, dilation, strict=True))
    return high, wide


def sizes_up_to(most: Pair, *, least: int = 1) -> dict[str, Any]:
    """A size for both axes or one for each, as JSON Schema."""
    high, wide, both = (
        {"type": "integer", "minimum": least, "maximum": min(side, LARGEST)} for side in (*most, min(most))
    )
    each = [high, wide]
    return {"anyOf": [both, {"type": "array", "prefixItems": each, "items": False, "minItems": 2, "maxItems": 2}]}


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
