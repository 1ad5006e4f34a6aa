"""Rows and columns added around an image, or cut off."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from jax import Array, lax
from pydantic import BeforeValidator, Field, WithJsonSchema

from nets.errors import BrokenRule
from nets.layers.base import Bound, Example, Layer, Misfit, register
from nets.layers.windows import sizes_up_to
from nets.spec.allowed import one_field_of
from nets.spec.fields import Pair, pair, shown, size, size_schema, whole
from nets.spec.values import Value, image

MOST = 1024  # rows or columns at a border
Four = tuple[int, int, int, int]


def borders(value: object, *, least: int) -> int | Four:
    """A number for every border, or four: left, right, top, bottom."""
    if isinstance(value, list | tuple):
        if len(value) != 4:
            rule = f"must be a whole number or [left, right, top, bottom], got {shown(value)}"
            raise BrokenRule(rule, "malformed")
        left, right, top, bottom = map(whole, value)
        numbers = left, right, top, bottom
    else:
        numbers = (whole(value),) * 4
    if not all(least <= number <= MOST for number in numbers):
        raise BrokenRule(f"must be {least} to {MOST}, got {shown(value)}", "out_of_range")
    return numbers if isinstance(value, list | tuple) else numbers[0]


def schema(least: int) -> dict[str, Any]:
    one = {"type": "integer", "minimum": least, "maximum": MOST}
    return {"anyOf": [one, {"type": "array", "items": one, "minItems": 4, "maxItems": 4}]}


Pads = Annotated[int | Four, BeforeValidator(lambda value: borders(value, least=-MOST)), WithJsonSchema(schema(-MOST))]
Cuts = Annotated[int | Four, BeforeValidator(lambda value: borders(value, least=0)), WithJsonSchema(schema(0))]
Size = Annotated[
    int | Pair,
    BeforeValidator(lambda value: size(value, least=1, most=MOST)),
    WithJsonSchema(size_schema(least=1, most=MOST)),
]


def at_most_half(value: Value, *, cut: int) -> dict[str, Any]:
    """Borders that leave a row and a column of an image whatever the others are, as JSON Schema.

    cut: the sign of a number that is cut off; one of the other sign is added.
    """
    _, high, wide = value.shape
    down, across = ((side - 1) // 2 for side in (high, wide))

    def within(half: int) -> dict[str, Any]:
        least, most = (0, half) if cut > 0 else (-half, MOST)
        return {"type": "integer", "minimum": max(least, -MOST), "maximum": min(most, MOST)}

    each = [within(across), within(across), within(down), within(down)]
    listed = {"type": "array", "prefixItems": each, "items": False, "minItems": 4, "maxItems": 4}
    return {"anyOf": [within(min(down, across)), listed]}


def four(value: int | Four) -> Four:
    """Left, right, top, bottom."""
    return (value,) * 4 if isinstance(value, int) else value


class Borders(Layer):
    """Base of what adds to an image at its borders, or cuts off."""

    takes = ("image",)
    layouts = "any"

    def added(self, value: Value) -> Four:
        """Left, right, top, bottom: columns and rows; negative ones are cut off."""
        raise AssertionError(f"{type(self).__name__} adds nothing")

    def output(self, *inputs: Value) -> Value:
        left, right, top, bottom = self.added(inputs[0])
        channels, height, width = inputs[0].shape
        return image(channels, height + top + bottom, width + left + right)

    def apply(self, bound: Bound, *xs: Array) -> Array:
        left, right, top, bottom = self.added(bound.takes[0])
        by_axis = {"H": (top, bottom, 0), "W": (left, right, 0)}
        return lax.pad(xs[0], xs[0].dtype.type(0), [by_axis.get(axis, (0, 0, 0)) for axis in bound.axes])


@register
class ZeroPad2d(Borders):
    """Zeros around an image. PyTorch's `nn.ZeroPad2d`: a negative number cuts off as many rows or columns."""

    type: Literal["zeropad2d"] = "zeropad2d"
    padding: Pads = Field(description="Zeros at each border: one number, or [left, right, top, bottom].")

    also = ("zeropadding2d",)
    examples = (
        Example({"type": "zeropad2d", "padding": 1}, (image(2, 3, 4),), image(2, 5, 6)),
        Example({"type": "zeropad2d", "padding": [2, -1, 0, 1]}, (image(2, 3, 4),), image(2, 4, 5)),
    )

    @property
    def idle(self) -> bool:
        return not any(four(self.padding))

    def added(self, value: Value) -> Four:
        return four(self.padding)

    def misfits(self, *inputs: Value) -> Iterator[Misfit]:
        left, right, top, bottom = self.added(inputs[0])
        _, high, wide = inputs[0].shape
        if high + min(top, 0) + min(bottom, 0) < 1 or wide + min(left, 0) + min(right, 0) < 1:
            rule = f"cuts off more than the {high} x {wide} pixels that {{before}} gives, got {shown(self.padding)}"
            detail = f"{rule}; a negative number is cut off: leave at least one row and column"
            expected = at_most_half(inputs[0], cut=-1)
            yield Misfit("padding", detail, fatal=True, code="out_of_range", expected=expected)


@register
class Crop2d(Borders):
    """An image without its borders: so many rows and columns cut off, or a size kept from the middle.

    Keras's `Cropping2D`; with `size` as torchvision's `CenterCrop`.
    """

    type: Literal["crop2d"] = "crop2d"
    cropping: Cuts | None = Field(
        None, description="Cut off at each border: one number, or [left, right, top, bottom]. In place of a size."
    )
    crop_size: Size | None = Field(None, alias="size", description="Height and width that are kept, from the middle.")

    also = ("cropping2d", "centercrop")
    keeps_values = True
    examples = (
        Example({"type": "crop2d", "cropping": 1}, (image(2, 4, 5),), image(2, 2, 3)),
        Example({"type": "crop2d", "cropping": [0, 2, 1, 0]}, (image(2, 4, 5),), image(2, 3, 3)),
        Example({"type": "crop2d", "size": [2, 4]}, (image(2, 5, 7),), image(2, 2, 4)),
    )

    def misfits(self, *inputs: Value) -> Iterator[Misfit]:
        _, high, wide = inputs[0].shape
        if (self.cropping is None) == (self.crop_size is None):
            detail, expected = (
                "crop2d needs one of cropping and size; send one of both",
                one_field_of("cropping", "size"),
            )
            yield Misfit(None, detail, fatal=True, expected=expected)
        elif self.crop_size is not None:
            height, width = pair(self.crop_size)
            if height > high or width > wide:
                detail = f"must be at most the {high} x {wide} that {{before}} gives, got {shown(self.crop_size)}"
                expected = sizes_up_to((high, wide))
                yield Misfit("size", detail, fatal=True, code="out_of_range", expected=expected)
        elif min(self.output(*inputs).shape) < 1:
            detail = f"cuts off all of the {high} x {wide} pixels that {{before}} gives, got {shown(self.cropping)}"
            detail, expected = f"{detail}; leave at least one row and column", at_most_half(inputs[0], cut=1)
            yield Misfit("cropping", detail, fatal=True, code="out_of_range", expected=expected)

    def added(self, value: Value) -> Four:
        if self.cropping is not None:
            left, right, top, bottom = (-cut for cut in four(self.cropping))
            return left, right, top, bottom
        assert self.crop_size is not None
        _, high, wide = value.shape
        height, width = pair(self.crop_size)
        # Halves to even, as torchvision rounds them.
        top, left = round((high - height) / 2), round((wide - width) / 2)
        return -left, left + width - wide, -top, top + height - high
