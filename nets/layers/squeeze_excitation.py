"""Gates that weigh the channels of an image by what is in the whole of it."""

from __future__ import annotations

from typing import Literal, Self

import jax.numpy as jnp
from jax import Array
from pydantic import Field

from nets.layers.base import Bound, Example, Layer, register
from nets.layers.composite import OWN_INPUT, Composite, Part, chain, function
from nets.layers.conv import Conv2d
from nets.spec.fields import Width
from nets.spec.values import Value, image


@register
class SqueezeExcitation(Composite):
    """x times scale(conv(activation(conv(mean of x)))), one factor for each channel. torchvision's `SqueezeExcitation`.
    Hu et al., 2018.
    """

    type: Literal["squeezeexcitation"] = "squeezeexcitation"
    in_channels: Width | None = Field(None, description="Channels of the input; may be left out.")
    squeeze_channels: Width | None = Field(
        None, description="Channels between the two convolutions; without it, those of the input divided by `ratio`."
    )
    ratio: Width = Field(
        default=16, description="How many times fewer channels stand between the convolutions than come in."
    )
    activation: Literal["relu", "silu", "relu6", "hardswish", "gelu"] = Field(
        "relu", description="What follows the first convolution."
    )
    scale_activation: Literal["sigmoid", "hardsigmoid", "tanh"] = Field(
        "sigmoid", description="What makes factors of what the second gives."
    )

    aliases = {"input_channels": "in_channels", "reduction": "ratio"}
    also = ("squeeze_excitation", "se", "seblock")
    declares = "in_channels"
    takes = ("image",)
    converts = True
    examples = (
        Example({"type": "squeezeexcitation", "ratio": 2}, (image(4, 4, 4),), image(4, 4, 4)),
        Example(
            {"type": "squeezeexcitation", "in_channels": 3, "squeeze_channels": 2}, (image(3, 4, 3),), image(3, 4, 3)
        ),
    )

    def filled(self, *inputs: Value) -> Self:
        channels = inputs[0].channels
        squeezed = self.squeeze_channels or max(1, channels // self.ratio)
        return super().filled(*inputs).model_copy(update={"squeeze_channels": squeezed})

    def expand(self, *inputs: Value) -> tuple[Part, ...]:
        filled = self.filled(*inputs)
        assert filled.squeeze_channels is not None
        gate = chain(
            ("mean", ChannelMeans()),
            ("fc1", Conv2d(out_channels=filled.squeeze_channels, kernel_size=1)),
            ("activation", function(self.activation)),
            ("fc2", Conv2d(out_channels=inputs[0].channels, kernel_size=1)),
            ("scale", function(self.scale_activation)),
        )
        return (*gate, Part("weighed", ChannelGate(), (OWN_INPUT, "scale")))


class ChannelMeans(Layer):
    """The mean of each channel, as an image of one pixel."""

    type: Literal["channel_means"] = "channel_means"
    takes = ("image",)
    layouts = "any"

    def output(self, *inputs: Value) -> Value:
        return image(inputs[0].channels, 1, 1)

    def apply(self, bound: Bound, *xs: Array) -> Array:
        return jnp.mean(xs[0], (bound.axis("H"), bound.axis("W")), keepdims=True)


class ChannelGate(Layer):
    """An image times one factor for each of its channels, which come as an image of one pixel."""

    type: Literal["channel_gate"] = "channel_gate"
    takes = ("image",)
    arity = (2, 2)
    layouts = "any"
    gates = True

    def apply(self, bound: Bound, *xs: Array) -> Array:
        return xs[0] * xs[1]
