"""Convolutions in two factors: over pixels channel by channel, then over channels pixel by pixel."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from nets.layers.base import Example, Misfit, register
from nets.layers.composite import OWN_INPUT, Composite, Part
from nets.layers.conv import Conv2d, PaddingMode
from nets.layers.windows import PaddingField
from nets.spec.fields import Boolean, Extent, Width
from nets.spec.values import Value, image


@register
class SeparableConv2d(Composite):
    """A depthwise convolution, then a pointwise one, with nothing between. Keras's `SeparableConv2D`. Chollet, 2017."""

    type: Literal["separableconv2d"] = "separableconv2d"
    in_channels: Width | None = Field(default=None, description="Channels of the input; may be left out.")
    out_channels: Width = Field(description="Channels of the output.")
    kernel_size: Extent = Field(description="Size of the depthwise kernel.")
    stride: Extent = Field(default=1, description="Step of the depthwise kernel.")
    padding: PaddingField = Field(
        default=0, description="Zeros on each side; `same` gives ceil(size / stride), `valid` is 0."
    )
    dilation: Extent = Field(default=1, description="Distance between neighbours in the depthwise kernel.")
    depth_multiplier: Width = Field(default=1, description="Depthwise results of each channel of the input.")
    bias: Boolean = Field(default=True, description="Whether each channel gets a trained constant added at the end.")
    padding_mode: PaddingMode = Field(default="zeros", description="What padding is made of, as in conv2d.")

    aliases = Conv2d.aliases
    also = ("separable_conv2d", "separableconvolution2d")
    declares = "in_channels"
    takes = ("image",)
    converts = True
    title = Conv2d.title
    width = "out_channels"
    examples = (
        Example(
            {"type": "separableconv2d", "out_channels": 4, "kernel_size": 3, "padding": "same"},
            (image(3, 4, 4),),
            image(4, 4, 4),
        ),
        Example(
            {
                "type": "separableconv2d",
                "filters": 2,
                "kernel_size": 3,
                "strides": 2,
                "depth_multiplier": 2,
                "padding": 1,
            },
            (image(3, 5, 4),),
            image(2, 3, 2),
        ),
    )

    def depthwise(self, value: Value) -> Conv2d:
        return Conv2d(
            out_channels=value.channels * self.depth_multiplier,
            kernel_size=self.kernel_size,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            groups=value.channels,
            bias=False,
            padding_mode=self.padding_mode,
        )

    def pointwise(self) -> Conv2d:
        return Conv2d(out_channels=self.out_channels, kernel_size=1, bias=self.bias)

    def misfits(self, *inputs: Value) -> Iterator[Misfit]:
        yield from super().misfits(*inputs)
        yield from self.depthwise(inputs[0]).misfits(*inputs)

    def output(self, *inputs: Value) -> Value:
        return self.pointwise().output(self.depthwise(inputs[0]).output(*inputs))

    def expand(self, *inputs: Value) -> tuple[Part, ...]:
        return (
            Part("depthwise", self.depthwise(inputs[0]), (OWN_INPUT,)),
            Part("pointwise", self.pointwise(), ("depthwise",)),
        )
