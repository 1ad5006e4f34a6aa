"""Normalisation of each sample by groups of channels, or channel by channel."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal

import jax
import jax.numpy as jnp
from jax import Array
from pydantic import Field

from nets.layers.base import Bound, Example, Layer, Misfit, register
from nets.layers.drawing import across
from nets.layers.norm import Affine, Constant, Eps, Momentum, affine
from nets.layers.parameters import Arrays, Parameter, ones, zeros
from nets.numerics.normalise import standardised
from nets.spec.fields import Boolean, Width
from nets.spec.values import Value, image, sequence


class OfEachSample(Layer):
    """Base of the norms that look at one sample at a time, with a factor and a constant for each channel."""

    affine: Affine = True
    bias: Constant = True

    aliases = {"epsilon": "eps"}
    layouts = "any"

    def trained(self, *inputs: Value) -> dict[str, Parameter]:
        """The factors and constants."""
        return affine((inputs[0].channels,), self.affine, self.bias)

    def arrays(self, *inputs: Value) -> Arrays:
        return Arrays(self.trained(*inputs))

    def with_affine(self, bound: Bound, y: Array) -> Array:
        """Normalised values times their factors, plus their constants."""
        if not self.affine:
            return y
        scaled = y * across(bound.param("scale"), bound)
        return scaled if (bias := bound.given("bias")) is None else scaled + across(bias, bound)


@register
class GroupNorm(OfEachSample):
    """Mean 0 and deviation 1 over each group of channels of a sample. PyTorch's `nn.GroupNorm`. Wu & He, 2018."""

    type: Literal["groupnorm"] = "groupnorm"
    num_groups: Width = Field(description="Into how many groups the channels are cut: a divisor of them.")
    num_channels: Width | None = Field(default=None, description="Channels or features of the input; may be left out.")
    eps: Eps = 1e-5

    also = ("group_norm",)
    aliases = {**OfEachSample.aliases, "groups": "num_groups"}
    declares = "num_channels"
    examples = (
        Example({"type": "groupnorm", "num_groups": 2}, (image(4, 3, 4),), image(4, 3, 4)),
        Example({"type": "groupnorm", "num_groups": 2, "affine": False}, (sequence(3, 6),), sequence(3, 6)),
    )

    def misfits(self, *inputs: Value) -> Iterator[Misfit]:
        channels = inputs[0].channels
        yield from super().misfits(*inputs)
        if channels % self.num_groups:
            near = math.gcd(channels, self.num_groups)
            rule = f"must divide the {channels} channels that {{before}} gives{{shape}}, got {self.num_groups}"
            divisors = {"enum": [n for n in range(1, min(channels, 1024) + 1) if channels % n == 0]}
            yield Misfit(
                "num_groups", f"{rule}; set {{field}} to {near}", code="mismatch", expected=divisors, set_to=near
            )

    def apply(self, bound: Bound, *xs: Array) -> Array:
        x, at = xs[0], bound.axis("C")
        grouped = x.reshape(*x.shape[:at], self.num_groups, -1, *x.shape[at + 1 :])
        batch = bound.axis("B") + (bound.axis("B") > at)
        over = tuple(axis for axis in range(grouped.ndim) if axis not in (at, batch))
        y, _, _ = standardised(grouped, over, self.eps)
        return self.with_affine(bound, y.reshape(x.shape))


@register
class InstanceNorm2d(OfEachSample):
    """Mean 0 and deviation 1 over each channel of each image. PyTorch's `nn.InstanceNorm2d`. Ulyanov et al., 2016."""

    type: Literal["instancenorm2d"] = "instancenorm2d"
    num_features: Width | None = Field(default=None, description="Channels of the input; may be left out.")
    eps: Eps = 1e-5
    momentum: Momentum = 0.1
    affine: Affine = False
    track_running_stats: Boolean = Field(
        default=False, description="Whether running statistics of all images normalise in evaluation."
    )

    also = ("instance_norm2d",)
    declares = "num_features"
    takes = ("image",)
    cures = {"features": "use layernorm", "sequence": "use layernorm, which normalises the features of each step"}
    examples = (
        Example({"type": "instancenorm2d"}, (image(2, 3, 4),), image(2, 3, 4)),
        Example(
            {"type": "instancenorm2d", "affine": True, "track_running_stats": True}, (image(2, 3, 4),), image(2, 3, 4)
        ),
    )

    def misfits(self, *inputs: Value) -> Iterator[Misfit]:
        yield from super().misfits(*inputs)
        if inputs[0].positions == 1:
            rule = "normalises each channel over its pixels, but {before} gives images of one pixel{shape}"
            yield Misfit(None, f"{self.type} {rule}; use layernorm", instead="layernorm")

    def arrays(self, *inputs: Value) -> Arrays:
        width = (inputs[0].channels,)
        tracked = {
            "mean": Parameter(width, zeros, torch="running_mean"),
            "var": Parameter(width, ones, torch="running_var"),
        }
        return Arrays(self.trained(*inputs), tracked if self.track_running_stats else {})

    def apply(self, bound: Bound, *xs: Array) -> Array:
        if self.track_running_stats and not bound.train:
            mean, var = (across(bound.statistic(name), bound) for name in ("mean", "var"))
            return self.with_affine(bound, (xs[0] - mean) * jax.lax.rsqrt(var + self.eps))
        y, mean, var = standardised(xs[0], (bound.axis("H"), bound.axis("W")), self.eps)
        if self.track_running_stats:
            pixels = bound.takes[0].positions
            self.track(bound, {"mean": mean, "var": var * (pixels / (pixels - 1))})
        return self.with_affine(bound, y)

    def track(self, bound: Bound, seen: dict[str, Array]) -> None:
        """Move the running statistics towards the mean over the batch of those of each image."""
        others = tuple(bound.axis(name) for name in "BHW")
        for name, each in seen.items():
            new = jax.lax.stop_gradient(jnp.mean(each, others))
            bound.update(name, (1 - self.momentum) * bound.statistic(name) + self.momentum * new)
