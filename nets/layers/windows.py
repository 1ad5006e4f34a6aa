"""Sliding windows: what kernel, stride, padding and dilation make of an image's size."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from nets.errors import UNSAID, BrokenRule
from nets.spec.fields import Pair, Whole, did_you_mean, got, pair, shown, size, size_schema, suggested, whole

PADDINGS = ("same", "valid")
LARGEST = 64  # window, of either axis
LONGEST = 1024  # window, stride and distance along a sequence
SMALL = 15  # pixels: no window up to this size is refused, so that deep networks may pool down to one pixel


def padding(value: object) -> int | Pair | str:
    if isinstance(value, str):
        return named_padding(value, "a whole number or a pair of them")
    try:
        return size(value, least=0)
    except BrokenRule as error:
        raise BrokenRule(f"{error}; 'same' and 'valid' work too", error.code) from None


def padding_of_sequence(value: object) -> int | str:
    if isinstance(value, str):
        return named_padding(value, "a whole number")
    try:
        number = whole(alone(value))
    except BrokenRule as error:
        raise BrokenRule(f"{error}; 'same' and 'valid' work too", error.code) from None
    if not 0 <= number <= LONGEST:
        raise BrokenRule(f"must be 0 to {LONGEST}, got {shown(value)}; 'same' and 'valid' work too", "out_of_range")
    return number


def named_padding(value: str, numbers: str) -> str:
    """One of the words; numbers: what may be said in their place."""
    if value in PADDINGS:
        return value
    near = suggested(value, PADDINGS)
    rule = f"must be 'same', 'valid', {numbers}{got(value, did_you_mean(value, PADDINGS))}"
    raise BrokenRule(rule, "not_one_of", suggestion=near, set_to=UNSAID if near is None else near)


def alone(value: object) -> object:
    """A number that comes as a list of one, as frameworks write sizes of sequences."""
    return value[0] if isinstance(value, list | tuple) and len(value) == 1 else value


NO_PLACES = {"return_indices": "A layer gives one value: the largest, not where it stood; leave it out"}
PADDING = {"anyOf": [*size_schema(least=0)["anyOf"], {"enum": list(PADDINGS)}]}
PaddingField = Annotated[int | Pair | Literal["same", "valid"], BeforeValidator(padding), WithJsonSchema(PADDING)]


def alone_schema(least: int) -> dict[str, Any]:
    """A number of steps, or a list of one, as JSON Schema."""
    one = {"type": "integer", "minimum": least, "maximum": LONGEST}
    return {"anyOf": [one, {"type": "array", "items": one, "minItems": 1, "maxItems": 1}]}


PADDING_1D = {"anyOf": [*alone_schema(0)["anyOf"], {"enum": list(PADDINGS)}]}
Padding1d = Annotated[int | Literal["same", "valid"], BeforeValidator(padding_of_sequence), WithJsonSchema(PADDING_1D)]
Margin = Annotated[
    int | Pair, BeforeValidator(lambda value: size(value, least=0)), WithJsonSchema(size_schema(least=0))
]
Margin1d = Annotated[Whole, BeforeValidator(alone), Field(ge=0, le=LONGEST), WithJsonSchema(alone_schema(0))]
# Kernels, strides and distances of sequences.
Steps = Annotated[Whole, BeforeValidator(alone), Field(ge=1, le=LONGEST), WithJsonSchema(alone_schema(1))]


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


def too_wide(image: Pair, *, window: Pair, dilation: Pair = (1, 1), steps: bool = False) -> str | None:
    """Why a window is wider than any two of its places on an image could use; None if it is not.

    Beyond twice the image, less one, its edges meet nothing but padding wherever it stands. steps: of a sequence.
    """
    side = "steps of a sequence" if steps else "pixels of a side"
    for n, k, d in zip(image, window, dilation, strict=True):
        extent = d * (k - 1) + 1
        if extent > max(2 * n - 1, SMALL):
            return f"spans {extent} {side} of {n}; more than {max(2 * n - 1, SMALL)} would only ever see padding"
    return None


def odd(size: int | Pair) -> bool:
    """Whether a window has a middle."""
    return all(side % 2 for side in pair(size))


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


def padded(channels: int, image: Pair, padding: tuple[Pair, Pair], stride: Pair) -> int:
    """How many numbers an image has with its padding, and with rows and columns for a last stride that leads beyond."""
    sides = (n + sum(p) for n, p in zip(image, padding, strict=True))
    high, wide = (side + min(s, side) - 1 for side, s in zip(sides, stride, strict=True))
    return channels * high * wide


def outputs(image: Pair, padded: tuple[Pair, Pair], *, window: Pair, stride: Pair, dilation: Pair = (1, 1)) -> Pair:
    """How many windows fit along each axis (floor mode); below 1 where the window is larger than the image."""
    high, wide = (
        (n + sum(p) - d * (k - 1) - 1) // s + 1
        for n, p, k, s, d in zip(image, padded, window, stride, dilation, strict=True)
    )
    return high, wide


def whole_windows(
    image: Pair, padded: tuple[Pair, Pair], *, window: Pair, stride: Pair, dilation: Pair = (1, 1)
) -> tuple[Pair, Pair]:
    """Padding for one window more where a step leads beyond the last whole one, and it begins within the image.

    PyTorch's ceil_mode: a window that would begin in the padding at the end is left out.
    """
    found = []
    for n, (low, high), k, s, d in zip(image, padded, window, stride, dilation, strict=True):
        reach = d * (k - 1) + 1
        places = -(-(n + low + high - reach) // s) + 1
        if (places - 1) * s >= n + low:
            places -= 1
        found.append((low, max(high, (places - 1) * s + reach - n - low)))
    return found[0], found[1]
