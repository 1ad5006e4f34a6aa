"""Images and sequences in another size: values between values, and channels as pixels."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

from jax import Array
from pydantic import BeforeValidator, Field, WithJsonSchema

from nets.errors import BrokenRule
from nets.layers.base import Bound, Example, Layer, Misfit, register
from nets.numerics.resample import linear, nearest
from nets.spec.allowed import one_field_of
from nets.spec.fields import Boolean, Pair, Whole, pair, real, shown, size, size_schema
from nets.spec.values import AXES, Value, described, image, sequence

LARGEST = 65_536  # side of an image or length of a sequence that comes out
MOST_TIMES = 64


def factor(value: object) -> float | tuple[float, float]:
    """A factor, or a pair [height, width] of them."""
    if isinstance(value, list | tuple) and len(value) != 2:
        raise BrokenRule(f"must be a number or a pair [height, width], got {shown(value)}", "malformed")
    numbers = [real(number) for number in (value if isinstance(value, list | tuple) else [value])]
    if not all(0 < number <= MOST_TIMES for number in numbers):
        raise BrokenRule(f"must be greater than 0 and at most {MOST_TIMES}, got {shown(value)}", "out_of_range")
    return (numbers[0], numbers[1]) if len(numbers) == 2 else numbers[0]


ONE_FACTOR = {"type": "number", "exclusiveMinimum": 0, "maximum": MOST_TIMES}
FACTOR = {"anyOf": [ONE_FACTOR, {"type": "array", "items": ONE_FACTOR, "minItems": 2, "maxItems": 2}]}
Factor = Annotated[float | tuple[float, float], BeforeValidator(factor), WithJsonSchema(FACTOR)]
Size = Annotated[
    int | Pair,
    BeforeValidator(lambda value: size(value, least=1, most=LARGEST)),
    WithJsonSchema(size_schema(least=1, most=LARGEST)),
]


@register
class Upsample(Layer):
    """An image or a sequence in another size, larger or smaller. PyTorch's `nn.Upsample`."""

    type: Literal["upsample"] = "upsample"
    scale_factor: Factor | None = Field(
        None, description="How many times as large: one number, or [height, width]. In place of a size; Keras's `size`."
    )
    out_size: Size | None = Field(
        None, alias="size", description="Height and width that come out, or the length of a sequence."
    )
    mode: Literal["nearest", "bilinear", "linear"] = Field(
        "nearest",
        description="The nearest value, or a mean of those around: bilinear for images, linear for sequences.",
    )
    align_corners: Boolean | None = Field(
        None, description="Whether the outermost values keep their places; false if left out. Not for nearest."
    )

    also = ("upsample2d", "interpolate")
    aliases = {"interpolation": "mode"}
    takes = ("image", "sequence")
    layouts = "any"
    refused = {
        "recompute_scale_factor": "Pixels are read at the scale that was sent, PyTorch's default; send size instead"
    }
    examples = (
        Example({"type": "upsample", "scale_factor": 2}, (image(2, 3, 4),), image(2, 6, 8)),
        Example({"type": "upsample", "size": [5, 3], "mode": "bilinear"}, (image(2, 3, 4),), image(2, 5, 3)),
        Example({"type": "upsample", "scale_factor": 2, "mode": "linear"}, (sequence(3, 4),), sequence(6, 4)),
    )

    def axes(self, value: Value) -> dict[str, int]:
        """The axes that change, as arrays have them, and their places in a shape."""
        return {"H": 1, "W": 2} if value.kind == "image" else {"T": 0}

    def scales(self) -> tuple[float | None, float | None]:
        if self.scale_factor is None:
            return None, None
        return self.scale_factor if isinstance(self.scale_factor, tuple) else (self.scale_factor, self.scale_factor)

    def sides(self, value: Value) -> list[int]:
        """The sizes that come out along those axes."""
        if self.out_size is not None:
            return list(pair(self.out_size))[: len(self.axes(value))]
        places = zip(self.axes(value).values(), self.scales(), strict=False)
        return [int(value.shape[place] * (scale or 1)) for place, scale in places]

    def misfits(self, *inputs: Value) -> Iterator[Misfit]:
        kind, asked = inputs[0].kind, self.scale_factor if self.out_size is None else self.out_size
        field = "scale_factor" if self.out_size is None else "size"
        if (self.scale_factor is None) == (self.out_size is None):
            rule, expected = "upsample needs one of scale_factor and size", one_field_of("scale_factor", "size")
            yield Misfit(None, f"{rule}; send one of both", fatal=True, expected=expected)
            return
        if kind == "sequence" and isinstance(asked, tuple):
            detail = f"must be one number for the length of a sequence, got {shown(list(asked))}"
            one = ONE_FACTOR if self.out_size is None else {"type": "integer", "minimum": 1, "maximum": LARGEST}
            yield Misfit(field, detail, fatal=True, code="wrong_type", expected=one)
        elif not all(1 <= side <= LARGEST for side in self.sides(inputs[0])):
            made = described(tuple(self.sides(inputs[0])))
            sizes = ", ".join(AXES[kind][place] for place in self.axes(inputs[0]).values())
            detail = f"makes {made} ({sizes}) of what {{before}} gives; each must be 1 to {LARGEST:,}"
            expected = factors_for([inputs[0].shape[place] for place in self.axes(inputs[0]).values()])
            yield Misfit(field, detail, fatal=True, code="out_of_range", expected=expected)
        modes = ["nearest", "bilinear" if kind == "image" else "linear"]
        if self.mode not in modes:
            detail = f"must be {modes[0]} or {modes[1]} for {'an image' if kind == 'image' else 'a sequence'}"
            yield Misfit(
                "mode",
                f"{detail}, got {shown(self.mode)}",
                code="mismatch",
                expected={"enum": modes},
                set_to=modes[1],
            )
        elif self.mode == "nearest" and self.align_corners is not None:
            detail = f"nearest takes no {{field}}; leave it out, or set mode to {modes[1]}"
            yield Misfit("align_corners", detail, code="conflict", expected={"type": "null"}, set_to=None)

    def output(self, *inputs: Value) -> Value:
        shape = list(inputs[0].shape)
        for place, side in zip(self.axes(inputs[0]).values(), self.sides(inputs[0]), strict=True):
            shape[place] = side
        return replace(inputs[0], shape=tuple(shape))

    def apply(self, bound: Bound, *xs: Array) -> Array:
        y, exact = xs[0], bound.numerics.exact
        sides = zip(self.axes(bound.takes[0]), self.sides(bound.takes[0]), self.scales(), strict=False)
        for name, side, scale in sides:
            axis = bound.axis(name)
            if self.mode == "nearest":
                y = nearest(y, axis, side, scale, exact)
            else:
                y = linear(y, axis, side, scale, align=bool(self.align_corners), precision=exact)
        return y


def factors_for(sides: Sequence[int]) -> dict[str, Any]:
    """The factors that make sizes of 1 to LARGEST of these, as JSON Schema."""
    bounds = [(math.nextafter(1 / side, 2), min(LARGEST / side, MOST_TIMES)) for side in sides]
    each = [{"type": "number", "minimum": least, "maximum": most} for least, most in bounds]
    least, most = max(low for low, _ in bounds), min(high for _, high in bounds)
    one = {"type": "number", "minimum": least, "maximum": most}
    if len(each) == 1:
        return one
    return {"anyOf": [one, {"type": "array", "prefixItems": each, "items": False, "minItems": 2, "maxItems": 2}]}


Times = Annotated[Whole, Field(ge=1, le=MOST_TIMES)]


@register
class PixelShuffle(Layer):
    """Groups of r x r channels as pixels: channels / r^2, height x r, width x r. PyTorch's `nn.PixelShuffle`.

    Shi et al., 2016.
    """

    type: Literal["pixelshuffle"] = "pixelshuffle"
    upscale_factor: Times = Field(description="r: how many times as high and wide.")

    also = ("pixel_shuffle",)
    takes = ("image",)
    layouts = "any"
    examples = (Example({"type": "pixelshuffle", "upscale_factor": 2}, (image(8, 3, 2),), image(2, 6, 4)),)

    def misfits(self, *inputs: Value) -> Iterator[Misfit]:
        channels, square = inputs[0].channels, self.upscale_factor**2
        if channels % square:
            rule = f"{{field}} = {self.upscale_factor} takes a multiple of {square} channels"
            detail = f"{rule}, but {{before}} gives {channels}{{shape}}; give it {-(-channels // square) * square}"
            yield Misfit("upscale_factor", detail, fatal=True, code="mismatch", expected=factors(channels))

    def output(self, *inputs: Value) -> Value:
        (channels, high, wide), times = inputs[0].shape, self.upscale_factor
        return image(channels // times**2, high * times, wide * times)

    def apply(self, bound: Bound, *xs: Array) -> Array:
        times = self.upscale_factor
        apart = {"C": {"C": bound.gives.channels, "i": times, "j": times}}
        return rearranged(xs[0], bound.axes, apart, {"H": "Hi", "W": "Wj"})


@register
class PixelUnshuffle(Layer):
    """Squares of r x r pixels as channels: channels x r^2, height / r, width / r. PyTorch's `nn.PixelUnshuffle`.

    Shi et al., 2016.
    """

    type: Literal["pixelunshuffle"] = "pixelunshuffle"
    downscale_factor: Times = Field(description="r: how many times as low and narrow.")

    also = ("pixel_unshuffle",)
    takes = ("image",)
    layouts = "any"
    examples = (Example({"type": "pixelunshuffle", "downscale_factor": 2}, (image(2, 4, 6),), image(8, 2, 3)),)

    def misfits(self, *inputs: Value) -> Iterator[Misfit]:
        _, high, wide = inputs[0].shape
        times = self.downscale_factor
        if high % times or wide % times:
            rule = f"{{field}} = {times} takes a height and width that are multiples of it"
            detail = f"{rule}, but {{before}} gives {high} x {wide}; crop or pad the image before it"
            both = [number for number in range(1, MOST_TIMES + 1) if high % number == wide % number == 0]
            yield Misfit("downscale_factor", detail, fatal=True, code="mismatch", expected={"enum": both})

    def output(self, *inputs: Value) -> Value:
        (channels, high, wide), times = inputs[0].shape, self.downscale_factor
        return image(channels * times**2, high // times, wide // times)

    def apply(self, bound: Bound, *xs: Array) -> Array:
        times, (_, high, wide) = self.downscale_factor, bound.gives.shape
        apart = {"H": {"H": high, "i": times}, "W": {"W": wide, "j": times}}
        return rearranged(xs[0], bound.axes, apart, {"C": "Cij"})


def rearranged(x: Array, axes: str, apart: Mapping[str, Mapping[str, int]], together: Mapping[str, str]) -> Array:
    """Axes taken apart, the outermost part first, and parts put together to others. axes: of `x` and the result."""
    parts: dict[str, int] = {}
    for axis, wide in zip(axes, x.shape, strict=True):
        parts |= apart.get(axis, {axis: wide})
    groups = [together.get(axis, axis) for axis in axes]
    names = list(parts)
    moved = x.reshape(list(parts.values())).transpose([names.index(name) for group in groups for name in group])
    return moved.reshape([math.prod(parts[name] for name in group) for group in groups])


def factors(channels: int) -> dict[str, Any]:
    """The factors whose square divides a number of channels, as JSON Schema."""
    return {"enum": [number for number in range(1, MOST_TIMES + 1) if channels % number**2 == 0]}
