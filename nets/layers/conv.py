"""Convolutions."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal, Self

from jax import Array
from pydantic import Field

from nets.layers.base import Bound, Example, Layer, Misfit, register
from nets.layers.parameters import Arrays, weights
from nets.layers.windows import (
    PaddingField,
    largest_inside,
    largest_useful,
    outputs,
    padded,
    pads,
    sizes_up_to,
    too_wide,
)
from nets.numerics.windows import Geometry
from nets.spec.allowed import one_of
from nets.spec.fields import Boolean, Extent, Pair, Width, pair
from nets.spec.values import Shape, Value, described, features, image

MOST_GROUPS = 65_536  # that are told of


def divisors(*numbers: int) -> list[int]:
    """What divides all of them."""
    common = math.gcd(*numbers)
    return [number for number in range(1, min(common, MOST_GROUPS) + 1) if common % number == 0]


@register
class Conv2d(Layer):
    """Two-dimensional cross-correlation. PyTorch's `nn.Conv2d`; `same` also takes a stride: ceil(size / stride)."""

    type: Literal["conv2d"] = "conv2d"
    in_channels: Width | None = Field(default=None, description="Channels of the input; may be left out.")
    out_channels: Width = Field(description="Channels of the output.")
    kernel_size: Extent = Field(description="Size of the kernel.")
    stride: Extent = Field(default=1, description="Step of the kernel.")
    padding: PaddingField = Field(
        default=0, description="Zeros on each side; `same` gives ceil(size / stride), `valid` is 0."
    )
    dilation: Extent = Field(default=1, description="Distance between neighbours in the kernel.")
    groups: Width = Field(default=1, description="Groups of channels, each convolved by itself.")
    bias: Boolean = Field(default=True, description="Whether each channel gets a trained constant added.")

    aliases = {"filters": "out_channels", "kernel": "kernel_size"}
    takes = ("image",)
    converts = True
    title = (1, "CNN")
    width = "out_channels"
    linear_map = True
    examples = (
        Example(
            {"type": "conv2d", "out_channels": 4, "kernel_size": 3, "stride": 1, "padding": "same"},
            (image(1, 9, 9),),
            image(4, 9, 9),
        ),
        Example(
            {"type": "conv2d", "in_channels": 1, "out_channels": 4, "kernel_size": 3, "stride": 1, "padding": "same"},
            (image(1, 12, 12),),
            image(4, 12, 12),
        ),
        Example(
            {"type": "conv2d", "filters": 3, "kernel": 2, "stride": 2, "padding": "same"},
            (image(2, 7, 5),),
            image(3, 4, 3),
        ),
        Example(
            {"type": "conv2d", "out_channels": 4, "kernel_size": [3, 2], "padding": 1},
            (image(3, 6, 6),),
            image(4, 6, 7),
        ),
        Example(
            {"type": "conv2d", "out_channels": 4, "kernel_size": 3, "dilation": 2, "groups": 2},
            (image(2, 9, 9),),
            image(4, 5, 5),
        ),
        Example(
            {"type": "conv2d", "out_channels": 2, "kernel_size": 3, "bias": False}, (features(36),), image(2, 4, 4)
        ),
    )

    @property
    def window(self) -> Pair:
        return pair(self.kernel_size)

    @property
    def strides(self) -> Pair:
        return pair(self.stride)

    @property
    def dilations(self) -> Pair:
        return pair(self.dilation)

    def geometry(self, value: Value) -> Geometry:
        """Where the kernel goes over an image."""
        return Geometry(self.strides, self.pads(value), self.dilations, self.groups)

    def pads(self, value: Value) -> tuple[Pair, Pair]:
        """Padding for an image as ((top, bottom), (left, right))."""
        _, *size = value.shape
        return pads(self.padding, (size[0], size[1]), window=self.window, stride=self.strides, dilation=self.dilations)

    def misfits(self, *inputs: Value) -> Iterator[Misfit]:
        channels, height, width = inputs[0].shape
        if self.in_channels is not None and self.in_channels != channels:
            yield Misfit.declared(self, "in_channels", self.in_channels, channels, unit="channel")
        elif channels % self.groups or self.out_channels % self.groups:
            yield Misfit(
                "groups",
                f"must divide the {channels} input and {self.out_channels} output channels, got {self.groups}",
                code="mismatch",
                expected=one_of(divisors(channels, self.out_channels)),
            )
        if min(self.output(*inputs).shape) < 1:
            yield Misfit(
                "kernel_size",
                f"a {described(self.window)} kernel (dilation {described(self.dilations)}) is larger than the "
                f"{height} x {width} image with padding {self.padding!r}; use a smaller kernel or more padding",
                fatal=True,
                code="out_of_range",
                expected=sizes_up_to(largest_inside((height, width), self.pads(inputs[0]), self.dilations)),
            )
        elif wide := too_wide((height, width), window=self.window, dilation=self.dilations):
            most = largest_useful((height, width), self.dilations)
            yield Misfit("kernel_size", wide, code="out_of_range", expected=sizes_up_to(most))

    def filled(self, *inputs: Value) -> Self:
        return self.model_copy(update={"in_channels": inputs[0].channels})

    def padded(self, *inputs: Value) -> int:
        return padded(inputs[0], self.pads(inputs[0]), self.strides)

    def output(self, *inputs: Value) -> Value:
        _, height, width = inputs[0].shape
        high, wide = outputs(
            (height, width), self.pads(inputs[0]), window=self.window, stride=self.strides, dilation=self.dilations
        )
        return image(self.out_channels, high, wide)

    def convolutions(self, *inputs: Value) -> Iterator[tuple[Shape, Geometry]]:
        yield self.arrays(*inputs).parameters["kernel"].shape, self.geometry(inputs[0])

    def arrays(self, *inputs: Value) -> Arrays:
        # More groups than channels are a misfit, and a half-built network with one is inspected all the same.
        per_group = max(1, inputs[0].channels // self.groups)
        fan_in = per_group * self.window[0] * self.window[1]
        return weights((*self.window, per_group, self.out_channels), fan_in=fan_in, bias=self.bias)

    def apply(self, bound: Bound, *xs: Array) -> Array:
        y = bound.numerics.convolve(xs[0], bound.param("kernel"), self.geometry(bound.takes[0]))
        return y if (bias := bound.given("bias")) is None else y + bias
