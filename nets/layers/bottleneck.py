"""Residual blocks whose 3 x 3 convolution has fewer channels than what goes around it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from nets.layers.activation import Relu
from nets.layers.base import Example, Misfit, register
from nets.layers.composite import OWN_INPUT, Composite, Part, chain
from nets.layers.conv import Conv2d
from nets.layers.kernel import divisors
from nets.layers.merge import Add
from nets.layers.norm import BatchNorm2d, Eps, Momentum
from nets.spec.allowed import one_of
from nets.spec.fields import Extent, Width, pair
from nets.spec.values import Value, image


@register
class Bottleneck(Composite):
    """A 1 x 1, a 3 x 3 and a 1 x 1 convolution with norms, plus a shortcut; then relu. torchvision's `Bottleneck`,
    of ResNet-50. He et al., 2016.

    The shortcut is x itself, unless the shape changes: then a 1 x 1 convolution and a norm.
    """

    type: Literal["bottleneck"] = "bottleneck"
    in_channels: Width | None = Field(None, description="Channels of the input; may be left out.")
    out_channels: Width = Field(
        description="Channels of the output, a multiple of `expansion`: torchvision's `planes` times 4."
    )
    stride: Extent = Field(default=1, description="Step of the 3 x 3 convolution and of the shortcut.")
    expansion: Width = Field(
        default=4, description="How many times as many channels come out as the 3 x 3 convolution has."
    )
    groups: Width = Field(default=1, description="Groups of the 3 x 3 convolution; 32 with expansion 2 is ResNeXt's.")
    eps: Eps = 1e-5
    momentum: Momentum = 0.1

    aliases = {"filters": "out_channels"}
    also = ("bottleneck_block", "bottleneckblock")
    declares = "in_channels"
    takes = ("image",)
    converts = True
    title = (2, "ResNet")
    width = "out_channels"
    examples = (
        Example({"type": "bottleneck", "out_channels": 8}, (image(3, 4, 4),), image(8, 4, 4)),
        Example(
            {"type": "bottleneck", "in_channels": 4, "out_channels": 4, "expansion": 2, "groups": 2},
            (image(4, 4, 4),),
            image(4, 4, 4),
        ),
        Example({"type": "bottleneck", "out_channels": 4, "stride": 2}, (image(4, 5, 4),), image(4, 3, 2)),
    )

    @property
    def inner(self) -> int:
        """Channels of the 3 x 3 convolution."""
        return max(1, self.out_channels // self.expansion)

    def misfits(self, *inputs: Value) -> Iterator[Misfit]:
        yield from super().misfits(*inputs)
        if self.out_channels % self.expansion:
            rule = f"must divide the {self.out_channels} channels of the output, got {self.expansion}"
            yield Misfit("expansion", rule, code="mismatch", expected=one_of(divisors(self.out_channels)))
        elif self.inner % self.groups:
            rule = f"must divide the {self.inner} channels of the 3 x 3 convolution, got {self.groups}"
            yield Misfit("groups", rule, code="mismatch", expected=one_of(divisors(self.inner)))

    def output(self, *inputs: Value) -> Value:
        high, wide = (-(-size // step) for size, step in zip(inputs[0].shape[1:], pair(self.stride), strict=True))
        return image(self.out_channels, high, wide)

    def expand(self, *inputs: Value) -> tuple[Part, ...]:
        norm = BatchNorm2d(eps=self.eps, momentum=self.momentum)
        inner = Conv2d(
            out_channels=self.inner, kernel_size=3, stride=self.stride, padding=1, groups=self.groups, bias=False
        )
        body = chain(
            ("conv1", Conv2d(out_channels=self.inner, kernel_size=1, bias=False)),
            *(("bn1", norm), ("relu1", Relu()), ("conv2", inner), ("bn2", norm), ("relu2", Relu())),
            *(("conv3", Conv2d(out_channels=self.out_channels, kernel_size=1, bias=False)), ("bn3", norm)),
        )
        around = Conv2d(out_channels=self.out_channels, kernel_size=1, stride=self.stride, bias=False)
        changes = self.output(*inputs) != inputs[0]
        skip = chain(("downsample.0", around), ("downsample.1", norm)) if changes else ()
        end = Part("add", Add(), ("bn3", "downsample.1" if skip else OWN_INPUT))
        return (*body, *skip, end, Part("relu3", Relu(), ("add",)))
