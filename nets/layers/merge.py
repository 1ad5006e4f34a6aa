"""Layers that make one value of several: sums, products, means, and arrays put side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import reduce
from operator import add, mul
from typing import Literal

import jax.numpy as jnp
from jax import Array
from pydantic import Field

from nets.layers.axes import Axis, axes_of, in_arrays, place_of
from nets.layers.base import Bound, Example, Layer, Misfit, register
from nets.spec.fields import shown
from nets.spec.values import AXES, Value, features, image, sequence

MOST = 64  # inputs of one merge


class Merge(Layer):
    """Base of what joins values that stand side by side: what `parallel` can end with."""

    arity = (2, MOST)


class OfOneShape(Merge):
    """Values of one kind and shape, number by number."""

    layouts = "elementwise"

    def misfits(self, *inputs: Value) -> Iterator[Misfit]:
        for place, value in enumerate(inputs[1:], 1):
            if (value.kind, value.shape) != (inputs[0].kind, inputs[0].shape):
                rule = f"{self.type} takes inputs of one shape; {{0}} gives {laid_out(inputs[0])}"
                detail = f"{rule}, {{{place}}} {laid_out(value)}; {cure(inputs[0], value, place)}"
                yield Misfit(None, detail, fatal=True)
                return


def laid_out(value: Value) -> str:
    """`64 x 7 x 7`, `128 features`, `16 x 32 (length x features)`."""
    if value.kind == "image":
        return value.described()
    if value.kind == "features":
        return f"{value.described()} features"
    return f"{value.described()} ({' x '.join(AXES[value.kind])})"


def cure(first: Value, other: Value, place: int) -> str:
    """What would make two inputs fit."""
    if first.kind != other.kind:
        return "give both the same kind of value"
    if first.kind != "image":
        return f"put a linear layer with out = {first.channels} before {{{place}}}"
    larger, smaller, name = (
        (other, first, f"{{{place}}}") if other.positions > first.positions else (first, other, "{0}")
    )
    strides = [high / low for high, low in zip(larger.shape[1:], smaller.shape[1:], strict=True)]
    if strides[0] == strides[1] == int(strides[0]) > 1:
        return f"put a conv2d with stride {int(strides[0])} before {name}"
    if larger.shape[1:] == smaller.shape[1:]:
        return f"put a conv2d with kernel_size 1 and out_channels {first.channels} before {{{place}}}"
    return "choose kernels, strides and padding that leave both the same height and width"


@register
class Add(OfOneShape):
    """The sum of all inputs, such as a skip connection. PyTorch's `torch.add`, Keras's `Add`. He et al., 2016."""

    type: Literal["add"] = "add"
    examples = (
        Example({"type": "add"}, (image(3, 4, 4), image(3, 4, 4)), image(3, 4, 4)),
        Example({"type": "add"}, (features(6), features(6), features(6)), features(6)),
        Example({"type": "add"}, (sequence(5, 6), sequence(5, 6)), sequence(5, 6)),
    )

    def apply(self, bound: Bound, *xs: Array) -> Array:
        return reduce(add, xs)


@register
class Multiply(OfOneShape):
    """The product of all inputs, value by value, such as a gate. PyTorch's `torch.mul`, Keras's `Multiply`."""

    type: Literal["multiply"] = "multiply"

    gates = True
    examples = (
        Example({"type": "multiply"}, (image(3, 4, 4), image(3, 4, 4)), image(3, 4, 4)),
        Example({"type": "multiply"}, (features(6), features(6)), features(6)),
        Example({"type": "multiply"}, (sequence(5, 6), sequence(5, 6)), sequence(5, 6)),
    )

    def apply(self, bound: Bound, *xs: Array) -> Array:
        return reduce(mul, xs)


@register
class Subtract(OfOneShape):
    """The first input minus the second. PyTorch's `torch.sub`, Keras's `Subtract`."""

    type: Literal["subtract"] = "subtract"
    arity = (2, 2)
    examples = (
        Example({"type": "subtract"}, (features(6), features(6)), features(6)),
        Example({"type": "subtract"}, (image(3, 4, 4), image(3, 4, 4)), image(3, 4, 4)),
    )

    def apply(self, bound: Bound, *xs: Array) -> Array:
        return xs[0] - xs[1]


@register
class Average(OfOneShape):
    """The mean of all inputs, value by value. Keras's `Average`."""

    type: Literal["average"] = "average"
    examples = (
        Example({"type": "average"}, (features(6), features(6)), features(6)),
        Example({"type": "average"}, (image(3, 4, 4), image(3, 4, 4), image(3, 4, 4)), image(3, 4, 4)),
    )

    def apply(self, bound: Bound, *xs: Array) -> Array:
        return reduce(add, xs) * (1 / len(xs))


@register
class Maximum(OfOneShape):
    """The largest of all inputs, value by value; the first of equal ones gets the gradient. Goodfellow et al., 2013."""

    type: Literal["maximum"] = "maximum"
    examples = (
        Example({"type": "maximum"}, (features(6), features(6)), features(6)),
        Example({"type": "maximum"}, (image(3, 4, 4), image(3, 4, 4)), image(3, 4, 4)),
    )

    def apply(self, bound: Bound, *xs: Array) -> Array:
        return reduce(lambda a, b: jnp.where(a >= b, a, b), xs)


@register
class Concat(Merge):
    """All inputs joined along one axis; their other sizes are equal. PyTorch's `torch.cat`. Szegedy et al., 2015."""

    type: Literal["concat"] = "concat"
    axis: Axis = Field(
        default=None,
        description="channels, height or width of images, features or length of sequences, or a number as in PyTorch "
        "(0 is the batch); without it, channels or features.",
    )

    also = ("concatenate", "cat")
    layouts = "any"
    keeps_values = True
    examples = (
        Example({"type": "concat"}, (image(3, 4, 4), image(2, 4, 4)), image(5, 4, 4)),
        Example({"type": "concat"}, (features(6), features(4), features(1)), features(11)),
        Example({"type": "concat", "axis": "height"}, (image(3, 4, 4), image(3, 2, 4)), image(3, 6, 4)),
        Example({"type": "concat", "axis": "length"}, (sequence(5, 6), sequence(2, 6)), sequence(7, 6)),
        Example({"type": "concat", "axis": 2}, (sequence(5, 6), sequence(5, 1)), sequence(5, 7)),
    )

    def along(self, value: Value) -> int | None:
        """Which axis of a value's shape; None where it has no such axis."""
        if self.axis is None:
            return 0 if value.kind == "image" else len(value.shape) - 1
        return place_of(self.axis, value)

    def misfits(self, *inputs: Value) -> Iterator[Misfit]:
        along, names = self.along(inputs[0]), AXES[inputs[0].kind]
        if along is None:
            numbers = f"{', '.join(names)} or 1 to {len(names)}"
            detail = f"must be an axis of what {{0}} gives ({numbers}; the batch cannot be joined along)"
            yield Misfit("axis", f"{detail}, got {shown(self.axis)}", fatal=True, expected=axes_of(inputs[0]))
            return
        for place, value in enumerate(inputs[1:], 1):
            if value.kind != inputs[0].kind or but(value.shape, along) != but(inputs[0].shape, along):
                detail = f"concat along {names[along]} takes inputs whose other sizes are equal; {{0}} gives "
                detail += f"{laid_out(inputs[0])}, {{{place}}} {laid_out(value)}"
                if len(names) > 1:
                    detail += f"; {cure(inputs[0], value, place)}"
                yield Misfit(None, detail, fatal=True)
                return

    def output(self, *inputs: Value) -> Value:
        along = self.along(inputs[0])
        assert along is not None
        shape = list(inputs[0].shape)
        shape[along] = sum(value.shape[along] for value in inputs)
        return replace(inputs[0], shape=tuple(shape))

    def apply(self, bound: Bound, *xs: Array) -> Array:
        along = self.along(bound.takes[0])
        assert along is not None
        return jnp.concatenate(xs, bound.axis(in_arrays(bound.takes[0], along)))


def but(shape: Sequence[int], axis: int) -> tuple[int, ...]:
    """All sizes but one."""
    return (*shape[:axis], *shape[axis + 1 :])
