"""Residual blocks that are wide inside and narrow at their ends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field

from nets.layers.base import Example, Layer, Misfit, register
from nets.layers.composite import OWN_INPUT, Composite, Part, chain, function
from nets.layers.conv import Conv2d
from nets.layers.merge import Add
from nets.layers.norm import BatchNorm2d, Eps, Momentum
from nets.layers.windows import LARGEST, largest_useful, odd, sizes_up_to, too_wide
from nets.spec.fields import Extent, Real, Width, pair, shown
from nets.spec.values import Value, image

ODD_SIDE: dict[str, Any] = {"type": "integer", "minimum": 1, "maximum": LARGEST - 1, "not": {"multipleOf": 2}}
ODD = {"anyOf": [ODD_SIDE, {"type": "array", "items": ODD_SIDE, "minItems": 2, "maxItems": 2}]}


@register
class InvertedResidual(Composite):
    """A 1 x 1 convolution to more channels, a depthwise one, and a 1 x 1 one to few, which has no activation;
    plus x where the shape stays. torchvision's `InvertedResidual`, of MobileNetV2. Sandler et al., 2018.
    """

    type: Literal["invertedresidual"] = "invertedresidual"
    in_channels: Width | None = Field(None, description="Channels of the input; may be left out.")
    out_channels: Width = Field(description="Channels of the output.")
    stride: Extent = Field(default=1, description="Step of the depthwise convolution.")
    expand_ratio: Annotated[Real, Field(gt=0, le=1000)] = Field(
        default=6, description="Channels inside for each one that comes in; 1 leaves the first convolution out."
    )
    kernel_size: Extent = Field(default=3, description="Size of the depthwise kernel, odd.")
    activation: Literal["relu6", "relu", "silu", "hardswish", "gelu"] = Field(
        "relu6", description="What follows the norms of the first two convolutions."
    )
    eps: Eps = 1e-5
    momentum: Momentum = 0.1

    aliases = {"filters": "out_channels", "kernel": "kernel_size", "expansion": "expand_ratio"}
    also = ("inverted_residual",)
    declares = "in_channels"
    takes = ("image",)
    converts = True
    title = (2, "MobileNet")
    width = "out_channels"
    examples = (
        Example(
            {"type": "invertedresidual", "out_channels": 3, "expand_ratio": 2, "kernel_size": 3},
            (image(3, 4, 4),),
            image(3, 4, 4),
        ),
        Example(
            {"type": "invertedresidual", "in_channels": 3, "out_channels": 4, "expand_ratio": 1, "stride": 2},
            (image(3, 5, 4),),
            image(4, 3, 2),
        ),
    )

    def misfits(self, *inputs: Value) -> Iterator[Misfit]:
        yield from super().misfits(*inputs)
        _, height, width = inputs[0].shape
        if not odd(self.kernel_size):
            rule = f"must be odd, so that half of it fits on each side of a pixel, got {shown(self.kernel_size)}"
            yield Misfit(
                "kernel_size", f"{rule}; use one more or one less", fatal=True, code="out_of_range", expected=ODD
            )
        elif wide := too_wide((height, width), window=pair(self.kernel_size)):
            most = largest_useful((height, width), (1, 1))
            yield Misfit("kernel_size", wide, code="out_of_range", expected=sizes_up_to(most))

    def output(self, *inputs: Value) -> Value:
        high, wide = (-(-size // step) for size, step in zip(inputs[0].shape[1:], pair(self.stride), strict=True))
        return image(self.out_channels, high, wide)

    def expand(self, *inputs: Value) -> tuple[Part, ...]:
        channels = inputs[0].channels
        inner = max(1, round(channels * self.expand_ratio))
        high, wide = pair(self.kernel_size)
        depthwise = Conv2d(
            out_channels=inner,
            kernel_size=self.kernel_size,
            stride=self.stride,
            padding=(high // 2, wide // 2),
            groups=inner,
            bias=False,
        )
        first = (
            []
            if self.expand_ratio == 1
            else self.normed("conv.0", Conv2d(out_channels=inner, kernel_size=1, bias=False))
        )
        at = len(first) // 3
        last = Conv2d(out_channels=self.out_channels, kernel_size=1, bias=False)
        norm = BatchNorm2d(eps=self.eps, momentum=self.momentum)
        ends = [(f"conv.{at + 1}", last), (f"conv.{at + 2}", norm)]
        body = chain(*first, *self.normed(f"conv.{at}", depthwise), *ends)
        same = pair(self.stride) == (1, 1) and channels == self.out_channels
        return (*body, Part("add", Add(), (OWN_INPUT, body[-1].name))) if same else body

    def normed(self, name: str, layer: Layer) -> list[tuple[str, Layer]]:
        """A convolution, its norm and the activation, by torchvision's names."""
        norm = BatchNorm2d(eps=self.eps, momentum=self.momentum)
        return [(f"{name}.0", layer), (f"{name}.1", norm), (f"{name}.2", function(self.activation))]
