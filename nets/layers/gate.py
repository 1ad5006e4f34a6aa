"""Layers that let values through: as they are, times a factor, or times a gate of their own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Literal

import jax
import jax.numpy as jnp
from jax import Array
from pydantic import Field

from nets.layers.activation import ALONG_CHANNELS, Activation
from nets.layers.base import Bound, Example, Layer, Misfit, register
from nets.layers.drawing import across
from nets.layers.parameters import Arrays, Parameter, constant
from nets.spec.fields import Boolean, Real
from nets.spec.values import Value, features, image, sequence


@register
class Identity(Activation):
    """What comes in. PyTorch's `nn.Identity`."""

    type: Literal["identity"] = "identity"

    keeps_values = True
    examples = (Example({"type": "identity"}, (image(2, 3, 4),), image(2, 3, 4)),)

    @property
    def idle(self) -> bool:
        return True

    def apply(self, bound: Bound, *xs: Array) -> Array:
        return xs[0]


@register
class Scale(Layer):
    """Values times a factor: constant, trained, or one for each channel, as LayerScale has it. Touvron et al., 2021."""

    type: Literal["scale"] = "scale"
    factor: Annotated[Real, Field(ge=-1e6, le=1e6)] = Field(
        default=1.0, description="The factor, or what it starts with."
    )
    learned: Boolean = Field(default=False, description="Whether it is trained.")
    per_channel: Boolean = Field(
        default=False,
        description="Whether each channel or feature has a trained factor of its own; goes with `learned`.",
    )

    aliases = {"init": "factor"}
    layouts = "any"
    examples = (
        Example({"type": "scale", "factor": 0.5}, (image(2, 3, 4),), image(2, 3, 4)),
        Example({"type": "scale", "factor": 0.1, "learned": True}, (features(6),), features(6)),
        Example({"type": "scale", "learned": True, "per_channel": True}, (image(2, 3, 4),), image(2, 3, 4)),
    )

    @property
    def idle(self) -> bool:
        return self.factor == 1 and not self.learned

    def misfits(self, *inputs: Value) -> Iterator[Misfit]:
        if self.per_channel and not self.learned:
            rule = "needs learned = true: a constant is the same for all channels; set learned to true, or leave it out"
            yield Misfit("per_channel", rule, code="conflict", expected={"const": False}, set_to=False)

    def arrays(self, *inputs: Value) -> Arrays:
        if not self.learned:
            return Arrays()
        width = inputs[0].channels if self.per_channel else 1
        return Arrays({"scale": Parameter((width,), constant(self.factor))})

    def apply(self, bound: Bound, *xs: Array) -> Array:
        scale = bound.given("scale")
        return xs[0] * (self.factor if scale is None else across(scale, bound))


@register
class Glu(Layer):
    """The first half of the channels times the sigmoid of the others. PyTorch's `nn.GLU` along them.

    Dauphin et al., 2017.
    """

    type: Literal["glu"] = "glu"

    refused = {"dim": ALONG_CHANNELS}

    layouts = "any"
    examples = (
        Example({"type": "glu"}, (image(4, 3, 4),), image(2, 3, 4)),
        Example({"type": "glu"}, (sequence(3, 6),), sequence(3, 3)),
    )

    def misfits(self, *inputs: Value) -> Iterator[Misfit]:
        if (channels := inputs[0].channels) % 2:
            detail = f"glu halves the channels or features, but {{before}} gives {channels}{{shape}}"
            yield Misfit(None, f"{detail}; give it {channels + 1}", fatal=True)

    def output(self, *inputs: Value) -> Value:
        value = inputs[0]
        shape = list(value.shape)
        shape[0 if value.kind == "image" else -1] //= 2
        return replace(value, shape=tuple(shape))

    def apply(self, bound: Bound, *xs: Array) -> Array:
        values, gate = jnp.split(xs[0], 2, bound.axis("C"))
        return values * jax.nn.sigmoid(gate)
