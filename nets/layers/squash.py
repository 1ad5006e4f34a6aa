"""Functions of each value between bounds, and those that shrink values."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Literal

import jax
import jax.numpy as jnp
from jax import Array
from pydantic import Field

from nets.layers.activation import Activation
from nets.layers.base import Bound, Example, Misfit, register
from nets.layers.rectifier import Number, clipped
from nets.spec.fields import Real
from nets.spec.values import Value, image

Width0 = Annotated[Real, Field(ge=0, le=1000)]


@register
class HardSigmoid(Activation):
    """min(max(x / 6 + 1/2, 0), 1). PyTorch's `nn.Hardsigmoid`. Courbariaux et al., 2015."""

    type: Literal["hardsigmoid"] = "hardsigmoid"

    also = ("hard_sigmoid",)
    bounds = (0, 1)
    examples = (Example({"type": "hardsigmoid"}, (image(2, 3, 4),), image(2, 3, 4)),)

    def apply(self, bound: Bound, *xs: Array) -> Array:
        return clipped(xs[0] + 3, 0, 6) / 6


@register
class HardTanh(Activation):
    """Values cut off at two bounds. PyTorch's `nn.Hardtanh`. Collobert, 2004."""

    type: Literal["hardtanh"] = "hardtanh"
    min_val: Number = Field(default=-1.0, description="Lower bound.")
    max_val: Number = Field(default=1.0, description="Upper bound.")

    also = ("hard_tanh",)
    aliases = {"min_value": "min_val", "max_value": "max_val"}
    bounds = (-1, 1)
    examples = (Example({"type": "hardtanh", "min_val": -0.5}, (image(2, 3, 4),), image(2, 3, 4)),)

    @property
    def limits(self) -> tuple[float, float]:
        return (self.min_val, self.max_val)

    def misfits(self, *inputs: Value) -> Iterator[Misfit]:
        if self.max_val <= self.min_val:
            rule = f"must be above min_val = {self.min_val:g}, got {self.max_val:g}; exchange the two"
            expected = {"type": "number", "exclusiveMinimum": self.min_val}
            yield Misfit("max_val", rule, code="out_of_range", expected=expected)

    def apply(self, bound: Bound, *xs: Array) -> Array:
        return clipped(xs[0], self.min_val, self.max_val)


@register
class Softsign(Activation):
    """x / (1 + |x|). PyTorch's `nn.Softsign`. Turian et al., 2009."""

    type: Literal["softsign"] = "softsign"

    bounds = (-1, 1)
    examples = (Example({"type": "softsign"}, (image(2, 3, 4),), image(2, 3, 4)),)

    def apply(self, bound: Bound, *xs: Array) -> Array:
        return jax.nn.soft_sign(xs[0])


@register
class LogSigmoid(Activation):
    """log(sigmoid(x)). PyTorch's `nn.LogSigmoid`."""

    type: Literal["logsigmoid"] = "logsigmoid"

    also = ("log_sigmoid",)
    bounds = (-math.inf, 0)
    examples = (Example({"type": "logsigmoid"}, (image(2, 3, 4),), image(2, 3, 4)),)

    def apply(self, bound: Bound, *xs: Array) -> Array:
        return jax.nn.log_sigmoid(xs[0])


@register
class TanhShrink(Activation):
    """x - tanh(x). PyTorch's `nn.Tanhshrink`."""

    type: Literal["tanhshrink"] = "tanhshrink"

    also = ("tanh_shrink",)
    examples = (Example({"type": "tanhshrink"}, (image(2, 3, 4),), image(2, 3, 4)),)

    def apply(self, bound: Bound, *xs: Array) -> Array:
        return xs[0] - jnp.tanh(xs[0])


@register
class SoftShrink(Activation):
    """Values nearer to 0 by `lambd`, 0 where they were no further away. PyTorch's `nn.Softshrink`. Donoho, 1995."""

    type: Literal["softshrink"] = "softshrink"
    lambd: Width0 = Field(default=0.5, description="By how much, and how far from 0 values become 0.")

    also = ("soft_shrink",)
    examples = (Example({"type": "softshrink", "lambd": 0.1}, (image(2, 3, 4),), image(2, 3, 4)),)

    def apply(self, bound: Bound, *xs: Array) -> Array:
        x = xs[0]
        return jnp.where(x > self.lambd, x - self.lambd, jnp.where(x < -self.lambd, x + self.lambd, 0))


@register
class HardShrink(Activation):
    """0 where values are no further from 0 than lambd. PyTorch's `nn.Hardshrink`. Donoho & Johnstone, 1994."""

    type: Literal["hardshrink"] = "hardshrink"
    lambd: Width0 = Field(default=0.5, description="How far from 0 values become 0.")

    also = ("hard_shrink",)
    examples = (Example({"type": "hardshrink", "lambd": 0.1}, (image(2, 3, 4),), image(2, 3, 4)),)

    def apply(self, bound: Bound, *xs: Array) -> Array:
        return jnp.where(jnp.abs(xs[0]) > self.lambd, xs[0], 0)
