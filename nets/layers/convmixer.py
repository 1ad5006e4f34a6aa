"""Blocks of ConvMixer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from nets.layers.base import Example, Misfit, register
from nets.layers.composite import OWN_INPUT, Composite, Part, chain, function
from nets.layers.conv import Conv2d
from nets.layers.merge import Add
from nets.layers.norm import BatchNorm2d, Eps, Momentum
from nets.layers.windows import largest_useful, sizes_up_to, too_wide
from nets.spec.fields import Extent, Width, pair
from nets.spec.values import Value, image


@register
class ConvMixerBlock(Composite):
    """x + norm(gelu(depthwise convolution of x)), then norm(gelu(1 x 1 convolution)). Trockman & Kolter, 2022."""

    type: Literal["convmixerblock"] = "convmixerblock"
    in_channels: Width | None = Field(None, description="Channels of the input; may be left out.")
    kernel_size: Extent = Field(default=9, description="Size of the depthwise kernel.")
    activation: Literal["gelu", "relu", "silu", "hardswish", "relu6"] = Field(
        "gelu", description="What follows each convolution."
    )
    eps: Eps = 1e-5
    momentum: Momentum = 0.1

    aliases = {"dim": "in_channels", "kernel": "kernel_size"}
    also = ("convmixer_block",)
    declares = "in_channels"
    takes = ("image",)
    converts = True
    title = (2, "ConvMixer")
    examples = (
        Example({"type": "convmixerblock", "kernel_size": 3}, (image(3, 4, 4),), image(3, 4, 4)),
        Example({"type": "convmixerblock", "in_channels": 2, "kernel_size": [2, 3]}, (image(2, 3, 4),), image(2, 3, 4)),
    )

    def misfits(self, *inputs: Value) -> Iterator[Misfit]:
        yield from super().misfits(*inputs)
        _, height, width = inputs[0].shape
        if wide := too_wide((height, width), window=pair(self.kernel_size)):
            most = largest_useful((height, width), (1, 1))
            yield Misfit("kernel_size", wide, code="out_of_range", expected=sizes_up_to(most))

    def expand(self, *inputs: Value) -> tuple[Part, ...]:
        channels = inputs[0].channels
        norm, activation = BatchNorm2d(eps=self.eps, momentum=self.momentum), function(self.activation)
        depthwise = Conv2d(out_channels=channels, kernel_size=self.kernel_size, padding="same", groups=channels)
        mixed = chain(("depthwise", depthwise), ("activation1", activation), ("norm1", norm))
        skip = Part("add", Add(), (OWN_INPUT, "norm1"))
        pointwise = Conv2d(out_channels=channels, kernel_size=1)
        ends = chain(("pointwise", pointwise), ("activation2", activation), ("norm2", norm), source="add")
        return (*mixed, skip, *ends)
