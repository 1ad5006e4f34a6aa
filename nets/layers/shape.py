"""Layers that change only the shape, or the order of axes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Literal

from jax import Array
from pydantic import BeforeValidator, Field, WithJsonSchema

from nets.errors import BrokenRule
from nets.layers.axes import IN_ARRAYS, MOST_AXES
from nets.layers.base import Bound, Example, Layer, Misfit, register
from nets.spec.fields import Whole, shown, whole
from nets.spec.values import AXES, Shape, Value, features, image, kind_of, sequence

LARGEST = 10_000_000  # size of an axis; memory is bounded elsewhere


@register
class Flatten(Layer):
    """All values as features: an image channel by channel, row by row; a sequence step by step. PyTorch's `nn.Flatten`.

    Features stay as they are. With a `start_dim` of 2 an image becomes a sequence of its pixels, row by row, each with
    its channels as features.
    """

    type: Literal["flatten"] = "flatten"
    start_dim: Annotated[Whole, Field(ge=-MOST_AXES, le=MOST_AXES)] = Field(
        default=1,
        description="First axis to flatten, as in PyTorch (1: all that a sample has; 2: height and width of an image; "
        "-1: the last, which changes nothing).",
    )

    keeps_values = True
    refused = {"end_dim": "Axes are joined up to the last one; leave it out, or use reshape"}
    examples = (
        Example({"type": "flatten"}, (image(4, 3, 2),), features(24)),
        Example({"type": "flatten"}, (features(5),), features(5)),
        Example({"type": "flatten"}, (sequence(5, 6),), features(30)),
        Example({"type": "flatten", "start_dim": 2}, (image(4, 3, 2),), sequence(6, 4)),
    )

    def first(self, value: Value) -> int:
        """The number of the first axis, from 1 on; what a value does not have is a misfit."""
        return self.start_dim if self.start_dim >= 0 else self.start_dim + len(value.shape) + 1

    def misfits(self, *inputs: Value) -> Iterator[Misfit]:
        most = len(inputs[0].shape)
        if not 1 <= self.first(inputs[0]) <= most:
            axes = "the axis of what" if most == 1 else f"one of the {most} axes of what"
            rule = f"must be {axes} {{before}} gives ({', '.join(AXES[inputs[0].kind])}), 1 to {most} or -{most} to -1"
            expected = {"enum": [*range(-most, 0), *range(1, most + 1)]}
            detail = f"{rule}, got {self.start_dim}; leave it out to flatten all of them"
            yield Misfit("start_dim", detail, fatal=True, expected=expected)

    def output(self, *inputs: Value) -> Value:
        first, value = self.first(inputs[0]), inputs[0]
        if first == 1:
            return features(value.size)
        return value if first == len(value.shape) else sequence(value.positions, value.channels)

    def apply(self, bound: Bound, *xs: Array) -> Array:
        takes, gives = bound.takes[0], bound.gives
        if gives.kind == takes.kind:
            return xs[0]
        x = xs[0].transpose(0, 3, 1, 2) if takes.kind == "image" and gives.kind == "features" else xs[0]
        return x.reshape(x.shape[0], *gives.shape)


class AsImage(Layer):
    """Features of a square number as an image of one channel, row by row: what a convolution reads them as."""

    type: Literal["as_image"] = "as_image"
    takes = ("features",)
    keeps_values = True

    def misfits(self, *inputs: Value) -> Iterator[Misfit]:
        if math.isqrt(inputs[0].size) ** 2 != inputs[0].size:
            detail = (
                f"expects an image; {inputs[0].size} features cannot be read as a square image. Move it before flatten"
            )
            yield Misfit(None, detail, fatal=True)

    def output(self, *inputs: Value) -> Value:
        side = math.isqrt(inputs[0].size)
        return image(1, side, side)

    def apply(self, bound: Bound, *xs: Array) -> Array:
        _, high, wide = bound.gives.shape
        return xs[0].reshape(xs[0].shape[0], high, wide, 1)


def sizes(value: object) -> tuple[int, ...]:
    """One to three sizes; one of them may be -1, for what is left."""
    if not isinstance(value, list | tuple) or not 1 <= len(value) <= MOST_AXES:
        forms = "[features], [length, features] or [channels, height, width]"
        raise BrokenRule(f"must be a list of 1 to {MOST_AXES} sizes, {forms}, got {shown(value)}", "malformed")
    numbers = tuple(map(whole, value))
    if any(not (number == -1 or 1 <= number <= LARGEST) for number in numbers):
        rule = f"must have sizes from 1 to {LARGEST:,}, or -1 for what is left, got {shown(list(numbers))}"
        raise BrokenRule(rule, "out_of_range")
    if numbers.count(-1) > 1:
        raise BrokenRule(f"must have at most one -1, which stands for what is left, got {shown(value)}", "malformed")
    return numbers


SIZE = {"type": "integer", "minimum": -1, "maximum": LARGEST, "not": {"const": 0}}
SIZES = {"type": "array", "items": SIZE, "minItems": 1, "maxItems": MOST_AXES}


@register
class Reshape(Layer):
    """The same values as features, a sequence or an image, in their order: by channel and row, or step by step.

    PyTorch's `nn.Unflatten` and `Tensor.reshape`, without the batch.
    """

    type: Literal["reshape"] = "reshape"
    shape: Annotated[tuple[int, ...], BeforeValidator(sizes), WithJsonSchema(SIZES)] = Field(
        description="[features], [length, features] or [channels, height, width]; one size may be -1, for what is left."
    )

    also = ("unflatten",)
    aliases = {"unflattened_size": "shape", "target_shape": "shape"}
    examples = (
        Example({"type": "reshape", "shape": [2, -1]}, (image(1, 4, 3),), sequence(2, 6)),
        Example({"type": "reshape", "shape": [3, 2, 2]}, (features(12),), image(3, 2, 2)),
        Example({"type": "reshape", "shape": [-1]}, (sequence(4, 3),), features(12)),
    )

    def shape_of(self, value: Value) -> Shape | None:
        """With the size in place of -1; None where the numbers of values differ."""
        known = math.prod(size for size in self.shape if size > 0)
        if -1 not in self.shape:
            return self.shape if known == value.size else None
        return None if value.size % known else tuple(size if size > 0 else value.size // known for size in self.shape)

    def near(self, given: int) -> list[list[int]]:
        """Shapes of as many sizes that hold so many values: one size changed, else the nearest that divide them."""
        changed = []
        for place in range(len(self.shape)):
            others = math.prod(size for size in self.shape[:place] + self.shape[place + 1 :] if size > 0)
            if -1 not in self.shape and given % others == 0:
                changed.append([*self.shape[:place], given // others, *self.shape[place + 1 :]])
        return changed or [self.dividing(given)]

    def dividing(self, given: int) -> list[int]:
        """Each size the largest that divides what is left and is no larger than asked; what is left goes to -1."""
        parts = [part for low in range(1, math.isqrt(given) + 1) if given % low == 0 for part in (low, given // low)]
        rest = self.shape.index(-1) if -1 in self.shape else len(self.shape) - 1
        found, left = list(self.shape), given
        for place, size in enumerate(self.shape):
            if place != rest:
                found[place] = max(part for part in parts if part <= size and left % part == 0)
                left //= found[place]
        return [size if place != rest or -1 in self.shape else left for place, size in enumerate(found)]

    def misfits(self, *inputs: Value) -> Iterator[Misfit]:
        if self.shape_of(inputs[0]) is None:
            known, given = math.prod(size for size in self.shape if size > 0), inputs[0].size
            gives = f"{{before}} gives {given} values ({inputs[0].described()})"
            if -1 in self.shape:
                detail = f"{{field}} = {list(self.shape)} takes a multiple of {known} values, but {gives}"
            else:
                detail = f"{{field}} = {list(self.shape)} takes {known} values, but {gives}"
            detail, near = f"{detail}; change a size, or put -1 for one of them", self.near(given)
            if len(self.shape) == 1:
                yield Misfit("shape", detail, fatal=True, code="mismatch", expected=near[0], set_to=near[0])
            else:
                yield Misfit("shape", detail, fatal=True, code="mismatch", expected={"enum": near})

    def output(self, *inputs: Value) -> Value:
        shape = self.shape_of(inputs[0])
        assert shape is not None, "a misfit that is fatal"
        return Value(kind_of(shape), shape)

    def apply(self, bound: Bound, *xs: Array) -> Array:
        x = xs[0].transpose(0, 3, 1, 2) if bound.takes[0].kind == "image" else xs[0]
        x = x.reshape(x.shape[0], *bound.gives.shape)
        return x.transpose(0, 2, 3, 1) if bound.gives.kind == "image" else x


def order(value: object) -> tuple[int, ...]:
    """Axes from 1 on in a new order; a 0 before them, for the batch, is left out."""
    if not isinstance(value, list | tuple) or not value:
        raise BrokenRule(f"must be a list of axes such as [2, 1], got {shown(value)}", "malformed")
    numbers = [whole(number) for number in value]
    if numbers[0] == 0:
        numbers = numbers[1:]
    axes = [number + len(numbers) + 1 if number < 0 else number for number in numbers]
    if not 2 <= len(axes) <= MOST_AXES or sorted(axes) != list(range(1, len(axes) + 1)):
        forms = "of a sequence [1, 2] or [2, 1], of an image 1 to 3, each once, such as [2, 3, 1]"
        raise BrokenRule(f"must be axes in a new order, {forms}, got {shown(value)}", "malformed")
    return tuple(axes)


ORDER = {
    "type": "array",
    "items": {"type": "integer", "minimum": -MOST_AXES, "maximum": MOST_AXES},
    "minItems": 2,
    "maxItems": MOST_AXES + 1,
}


@register
class Permute(Layer):
    """Axes in another order: those of an image are channels, height, width, those of a sequence length, features.

    PyTorch's `torch.permute`, whose 0 for the batch may be left out: Keras's `Permute`. An image stays an image, a
    sequence a sequence.
    """

    type: Literal["permute"] = "permute"
    dims: Annotated[tuple[int, ...], BeforeValidator(order), WithJsonSchema(ORDER)] = Field(
        description="For each axis that comes out, which one it was, from 1 on, such as [2, 1]."
    )

    takes = ("image", "sequence")
    layouts = "any"
    examples = (
        Example({"type": "permute", "dims": [2, 3, 1]}, (image(2, 3, 4),), image(3, 4, 2)),
        Example({"type": "permute", "dims": [0, 2, 1]}, (sequence(5, 6),), sequence(6, 5)),
    )

    def misfits(self, *inputs: Value) -> Iterator[Misfit]:
        names = AXES[inputs[0].kind]
        if len(self.dims) != len(names):
            rule = f"must have the {len(names)} axes of what {{before}} gives ({', '.join(names)})"
            detail = f"{rule}, each once, got {list(self.dims)}; such as {list(range(len(names), 0, -1))}"
            expected = {
                "type": "array",
                "items": {"type": "integer", "minimum": 1, "maximum": len(names)},
                "minItems": len(names),
                "maxItems": len(names),
            }
            yield Misfit("dims", detail, fatal=True, expected=expected)

    def output(self, *inputs: Value) -> Value:
        return replace(inputs[0], shape=tuple(inputs[0].shape[axis - 1] for axis in self.dims))

    def apply(self, bound: Bound, *xs: Array) -> Array:
        names = [IN_ARRAYS[name] for name in AXES[bound.takes[0].kind]]
        was = {name: names[axis - 1] for name, axis in zip(names, self.dims, strict=True)}
        return xs[0].transpose([bound.axis(was.get(name, name)) for name in bound.axes])
