"""Functions of each value that level off below, or bend at zero: the family of relu."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Literal

import jax
import jax.numpy as jnp
from jax import Array
from pydantic import Field

from nets.layers.activation import Activation
from nets.layers.base import Bound, Example, Layer, Misfit, register
from nets.layers.drawing import across, order_of, spread
from nets.layers.ignored import InPlace
from nets.layers.parameters import Arrays, Parameter, constant
from nets.spec.fields import Real, Width
from nets.spec.values import Value, features, image

SELU_ALPHA, SELU_SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946
Number = Annotated[Real, Field(ge=-1000, le=1000)]
Positive = Annotated[Real, Field(gt=0, le=1000)]
Slope = Annotated[Real, Field(ge=0, le=1000)]


@register
class Relu6(Activation):
    """min(max(x, 0), 6). PyTorch's `nn.ReLU6`. Howard et al., 2017."""

    type: Literal["relu6"] = "relu6"

    bounds = (0, 6)
    examples = (Example({"type": "relu6"}, (image(2, 3, 4),), image(2, 3, 4)),)

    def apply(self, bound: Bound, *xs: Array) -> Array:
        return clipped(xs[0], 0, 6)


@register
class LeakyRelu(Activation):
    """max(x, 0) + slope * min(x, 0). PyTorch's `nn.LeakyReLU`. Maas et al., 2013."""

    type: Literal["leakyrelu"] = "leakyrelu"
    negative_slope: Number = Field(default=0.01, description="Slope below 0.")

    also = ("leaky_relu",)
    aliases = {"slope": "negative_slope"}
    examples = (Example({"type": "leakyrelu", "negative_slope": 0.1}, (image(2, 3, 4),), image(2, 3, 4)),)

    def apply(self, bound: Bound, *xs: Array) -> Array:
        return jnp.where(xs[0] > 0, xs[0], self.negative_slope * xs[0])


@register
class PRelu(Layer):
    """leakyrelu with a trained slope, or one for each channel. PyTorch's `nn.PReLU`. He et al., 2015."""

    type: Literal["prelu"] = "prelu"
    num_parameters: Width = Field(default=1, description="1 slope for all, or one for each channel or feature.")
    init: Number = Field(default=0.25, description="What the slopes start with.")

    layouts = "any"
    examples = (
        Example({"type": "prelu"}, (features(6),), features(6)),
        Example({"type": "prelu", "num_parameters": 3, "init": 0.1}, (image(3, 3, 4),), image(3, 3, 4)),
    )

    def misfits(self, *inputs: Value) -> Iterator[Misfit]:
        channels = inputs[0].channels
        if self.num_parameters not in (1, channels):
            detail = f"must be 1 or the {channels} that {{before}} gives{{shape}}, got {self.num_parameters}"
            cure = f"set {{field}} to {channels}, or leave it out for a single slope"
            yield Misfit(
                *("num_parameters", f"{detail}; {cure}"),
                code="mismatch",
                expected={"enum": [1, channels]},
                set_to=channels,
            )

    def arrays(self, *inputs: Value) -> Arrays:
        return Arrays({"slope": Parameter((self.num_parameters,), constant(self.init), torch="weight")})

    def apply(self, bound: Bound, *xs: Array) -> Array:
        x, slope = xs[0], bound.param("slope")
        return jnp.where(x > 0, x, across(slope, bound) * x)


@register
class RRelu(Layer):
    """Like leakyrelu with a slope drawn for each value while training, and the mean slope afterwards.

    PyTorch's `nn.RReLU`. Xu et al., 2015.
    """

    type: Literal["rrelu"] = "rrelu"
    lower: Slope = Field(default=1 / 8, description="Least slope below 0.")
    upper: Slope = Field(default=1 / 3, description="Largest slope below 0.")

    layouts = "any"
    ignored = InPlace
    random = True
    examples = (Example({"type": "rrelu"}, (image(2, 3, 4),), image(2, 3, 4)),)

    def misfits(self, *inputs: Value) -> Iterator[Misfit]:
        if self.upper < self.lower:
            rule = f"must be at least lower = {self.lower:g}, got {self.upper:g}; exchange the two"
            expected = {"type": "number", "minimum": self.lower}
            yield Misfit("upper", rule, code="out_of_range", expected=expected)

    def apply(self, bound: Bound, *xs: Array) -> Array:
        x = xs[0]
        if not bound.train:
            return jnp.where(x > 0, x, (self.lower + self.upper) / 2 * x)
        axes = order_of(bound)
        shape = tuple(x.shape[bound.axis(name)] for name in axes)
        slope = jax.random.uniform(bound.key(), shape, minval=self.lower, maxval=self.upper)
        return jnp.where(x > 0, x, spread(slope, axes, bound) * x)


@register
class Elu(Activation):
    """x above 0, alpha (exp(x) - 1) below. PyTorch's `nn.ELU`. Clevert et al., 2016."""

    type: Literal["elu"] = "elu"
    alpha: Slope = Field(default=1.0, description="Below 0 it levels off at -alpha.")

    bounds = (-1, math.inf)
    examples = (Example({"type": "elu", "alpha": 0.5}, (image(2, 3, 4),), image(2, 3, 4)),)

    @property
    def limits(self) -> tuple[float, float]:
        return (-self.alpha, math.inf)

    def apply(self, bound: Bound, *xs: Array) -> Array:
        return jnp.where(xs[0] > 0, xs[0], self.alpha * jnp.expm1(jnp.minimum(xs[0], 0)))


@register
class Celu(Activation):
    """x above 0, alpha (exp(x / alpha) - 1) below: smooth for every alpha. PyTorch's `nn.CELU`. Barron, 2017."""

    type: Literal["celu"] = "celu"
    alpha: Positive = Field(default=1.0, description="Below 0 it levels off at -alpha.")

    bounds = (-1, math.inf)
    examples = (Example({"type": "celu", "alpha": 0.5}, (image(2, 3, 4),), image(2, 3, 4)),)

    @property
    def limits(self) -> tuple[float, float]:
        return (-self.alpha, math.inf)

    def apply(self, bound: Bound, *xs: Array) -> Array:
        return jnp.where(xs[0] > 0, xs[0], self.alpha * jnp.expm1(jnp.minimum(xs[0], 0) / self.alpha))


@register
class Selu(Activation):
    """An elu that keeps mean 0 and variance 1 from layer to layer. PyTorch's `nn.SELU`. Klambauer et al., 2017."""

    type: Literal["selu"] = "selu"

    bounds = (-SELU_ALPHA * SELU_SCALE, math.inf)
    examples = (Example({"type": "selu"}, (image(2, 3, 4),), image(2, 3, 4)),)

    def apply(self, bound: Bound, *xs: Array) -> Array:
        return SELU_SCALE * jnp.where(xs[0] > 0, xs[0], SELU_ALPHA * jnp.expm1(jnp.minimum(xs[0], 0)))


@register
class Gelu(Activation):
    """x times the share of a normal distribution that is below x. PyTorch's `nn.GELU`. Hendrycks & Gimpel, 2016."""

    type: Literal["gelu"] = "gelu"
    approximate: Literal["none", "tanh"] = Field(
        default="none", description="`none`: exact, by erf; `tanh`: nearly, by a formula with tanh, as in GPT-2."
    )

    bounds = (-0.17004, math.inf)
    examples = (
        Example({"type": "gelu"}, (image(2, 3, 4),), image(2, 3, 4)),
        Example({"type": "gelu", "approximate": "tanh"}, (features(6),), features(6)),
    )

    def apply(self, bound: Bound, *xs: Array) -> Array:
        return jax.nn.gelu(xs[0], approximate=self.approximate == "tanh")


@register
class Silu(Activation):
    """x sigmoid(x), also known as swish. PyTorch's `nn.SiLU`. Elfwing et al., 2018; Ramachandran et al., 2017."""

    type: Literal["silu"] = "silu"

    also = ("swish",)
    bounds = (-0.27847, math.inf)
    examples = (Example({"type": "silu"}, (image(2, 3, 4),), image(2, 3, 4)),)

    def apply(self, bound: Bound, *xs: Array) -> Array:
        return jax.nn.silu(xs[0])


@register
class Mish(Activation):
    """x tanh(softplus(x)). PyTorch's `nn.Mish`. Misra, 2020."""

    type: Literal["mish"] = "mish"

    bounds = (-0.30885, math.inf)
    examples = (Example({"type": "mish"}, (image(2, 3, 4),), image(2, 3, 4)),)

    def apply(self, bound: Bound, *xs: Array) -> Array:
        return xs[0] * jnp.tanh(jax.nn.softplus(xs[0]))


@register
class HardSwish(Activation):
    """x min(max(x + 3, 0), 6) / 6: a silu of straight pieces. PyTorch's `nn.Hardswish`. Howard et al., 2019."""

    type: Literal["hardswish"] = "hardswish"

    also = ("hard_swish",)
    bounds = (-0.375, math.inf)
    examples = (Example({"type": "hardswish"}, (image(2, 3, 4),), image(2, 3, 4)),)

    def apply(self, bound: Bound, *xs: Array) -> Array:
        return xs[0] * clipped(xs[0] + 3, 0, 6) / 6


@register
class Softplus(Activation):
    """log(1 + exp(beta x)) / beta: a smooth relu. PyTorch's `nn.Softplus`. Dugas et al., 2001."""

    type: Literal["softplus"] = "softplus"
    beta: Positive = Field(default=1.0, description="How sharp the bend is.")
    threshold: Number = Field(default=20.0, description="Where beta x is above it, x itself is taken.")

    bounds = (0, math.inf)
    examples = (Example({"type": "softplus", "beta": 2}, (image(2, 3, 4),), image(2, 3, 4)),)

    def apply(self, bound: Bound, *xs: Array) -> Array:
        scaled = self.beta * xs[0]
        return jnp.where(scaled > self.threshold, xs[0], jax.nn.softplus(scaled) / self.beta)


@register
class Threshold(Activation):
    """x where it is above a threshold, else a constant. PyTorch's `nn.Threshold`."""

    type: Literal["threshold"] = "threshold"
    threshold: Number = Field(description="Values above it stay.")
    value: Number = Field(description="What the others become.")

    examples = (Example({"type": "threshold", "threshold": 0.1, "value": 0.0}, (image(2, 3, 4),), image(2, 3, 4)),)

    @property
    def limits(self) -> tuple[float, float]:
        return (min(self.threshold, self.value), math.inf)

    def apply(self, bound: Bound, *xs: Array) -> Array:
        return jnp.where(xs[0] > self.threshold, xs[0], self.value)


def clipped(x: Array, low: float, high: float) -> Array:
    """Values between two bounds. At a bound and beyond it no gradient flows, as in PyTorch."""
    return jnp.where(x <= low, low, jnp.where(x >= high, high, x))
