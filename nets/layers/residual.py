"""Residual blocks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

import jax.numpy as jnp
from jax import Array
from pydantic import Field

from nets.layers.activation import Relu
from nets.layers.base import Bound, Example, Layer, Misfit, register
from nets.layers.composite import OWN_INPUT, Composite, Part, chain
from nets.layers.conv import Conv2d
from nets.layers.merge import Add
from nets.layers.norm import BatchNorm2d, Eps, Momentum
from nets.layers.windows import largest_useful, odd, sizes_up_to, too_wide
from nets.spec.fields import Boolean, Extent, Pair, Width, pair, shown
from nets.spec.values import Value, image


@register
class ResidualBlock(Composite):
    """relu(norm(conv(relu(norm(conv(x))))) + shortcut(x)). He et al., 2016.

    The shortcut is x itself, unless the shape changes.
    """

    type: Literal["residual_block"] = "residual_block"
    in_channels: Width | None = Field(None, description="Channels of the input; may be left out.")
    out_channels: Width = Field(description="Channels of the output.")
    kernel_size: Extent = Field(default=3, description="Size of the kernels.")
    stride: Extent = Field(default=1, description="Step of the first convolution and of the shortcut.")
    padding: Literal["same", "symmetric"] = Field(
        "same",
        description="`same` as in conv2d, whose odd zero stands at the end; `symmetric` is half the kernel on each "
        "side, as PyTorch's networks have it. They differ where a stride meets an even size.",
    )
    shortcut: Literal["projection", "projection_norm", "pad"] = Field(
        "projection",
        description="If channels or size change: a 1 x 1 convolution, or that and a norm, as in torchvision's "
        "`BasicBlock`, or every stride-th pixel with added channels of zeros, without weights, as in the CIFAR-10 "
        "networks of He et al.",
    )
    bias: Boolean = Field(
        default=True, description="Whether the convolutions have a bias; the norm after each one cancels it."
    )
    eps: Eps = 1e-5
    momentum: Momentum = 0.1

    aliases = {"filters": "out_channels", "kernel": "kernel_size"}
    also = ("basicblock", "basic_block", "residualblock")
    declares = "in_channels"
    takes = ("image",)
    converts = True
    title = (2, "ResNet")
    width = "out_channels"
    examples = (
        Example({"type": "residual_block", "out_channels": 4, "kernel_size": 3}, (image(4, 6, 6),), image(4, 6, 6)),
        Example(
            {"type": "residual_block", "in_channels": 4, "out_channels": 4, "kernel_size": 3},
            (image(4, 6, 6),),
            image(4, 6, 6),
        ),
        Example({"type": "residual_block", "in_channels": 2, "out_channels": 3}, (image(2, 5, 4),), image(3, 5, 4)),
        Example(
            {"type": "residual_block", "out_channels": 5, "stride": 2, "bias": False}, (image(3, 7, 6),), image(5, 4, 3)
        ),
        Example(
            {"type": "residual_block", "out_channels": 5, "stride": 2, "shortcut": "pad"},
            (image(3, 7, 6),),
            image(5, 4, 3),
        ),
        Example(
            {
                **{"type": "residual_block", "out_channels": 4, "stride": 2, "padding": "symmetric"},
                **{"shortcut": "projection_norm", "bias": False},
            },
            (image(3, 4, 4),),
            image(4, 2, 2),
        ),
    )

    @property
    def strides(self) -> Pair:
        return pair(self.stride)

    def misfits(self, *inputs: Value) -> Iterator[Misfit]:
        yield from super().misfits(*inputs)
        channels, height, width = inputs[0].shape
        if wide := too_wide((height, width), window=pair(self.kernel_size)):
            most = largest_useful((height, width), (1, 1))
            yield Misfit("kernel_size", wide, code="out_of_range", expected=sizes_up_to(most))
        if self.padding == "symmetric" and not odd(self.kernel_size):
            rule = f"symmetric has half an odd kernel on each side, and kernel_size is {shown(self.kernel_size)}"
            yield Misfit("padding", f"{rule}; set {{field}} to same", expected="same", set_to="same")
        if self.shortcut == "pad" and self.out_channels < channels:
            cure = f"set {{field}} to projection, or out_channels to at least {channels}"
            rule = f"pad cannot make {channels} channels {self.out_channels}; {cure}"
            yield Misfit("shortcut", rule, code="mismatch", expected="projection", set_to="projection")

    def output(self, *inputs: Value) -> Value:
        high, wide = (-(-size // step) for size, step in zip(inputs[0].shape[1:], self.strides, strict=True))
        return image(self.out_channels, high, wide)

    def expand(self, *inputs: Value) -> tuple[Part, ...]:
        norm = BatchNorm2d(eps=self.eps, momentum=self.momentum)
        skip = self.skip(inputs[0], norm)
        return (
            Part("conv1", self.convolution(self.kernel_size, self.stride), (OWN_INPUT,)),
            Part("conv2", self.convolution(self.kernel_size, 1), ("relu1",)),
            Part("norm1", norm, ("conv1",)),
            Part("norm2", norm, ("conv2",)),
            *skip,
            Part("relu1", Relu(), ("norm1",)),
            Part("add", Add(), ("norm2", skip[-1].name if skip else OWN_INPUT)),
            Part("relu2", Relu(), ("add",)),
        )

    def convolution(self, window: int | Pair, stride: int | Pair) -> Conv2d:
        high, wide = pair(window)
        around: Pair | Literal["same"] = (
            (high // 2, wide // 2) if self.padding == "symmetric" and odd(self.kernel_size) else "same"
        )
        return Conv2d(out_channels=self.out_channels, kernel_size=window, stride=stride, padding=around, bias=self.bias)

    def skip(self, value: Value, norm: Layer) -> tuple[Part, ...]:
        """What stands beside the convolutions; nothing for x itself."""
        if self.output(value) == value:
            return ()
        if self.shortcut == "pad":
            return chain(("skip", PadShortcut(out_channels=self.out_channels, stride=self.stride)))
        projection = ("skip", self.convolution(1, self.stride))
        return chain(projection, ("skip_norm", norm)) if self.shortcut == "projection_norm" else chain(projection)


class PadShortcut(Layer):
    """Every stride-th pixel, and channels of zeros behind those that there are. He et al., 2016, option A."""

    type: Literal["pad_shortcut"] = "pad_shortcut"
    out_channels: Width
    stride: Extent = 1

    takes = ("image",)
    layouts = "any"

    def output(self, *inputs: Value) -> Value:
        sizes = zip(inputs[0].shape[1:], pair(self.stride), strict=True)
        return replace(inputs[0], shape=(self.out_channels, *(-(-size // step) for size, step in sizes)))

    def apply(self, bound: Bound, *xs: Array) -> Array:
        steps = dict(zip("HW", pair(self.stride), strict=True))
        kept = xs[0][tuple(slice(None, None, steps.get(axis)) for axis in bound.axes)]
        more = self.out_channels - bound.takes[0].channels
        return jnp.pad(kept, [(0, more if axis == "C" else 0) for axis in bound.axes])
