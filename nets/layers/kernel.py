"""What convolutions and transposed convolutions have in common: a trained kernel that goes over groups of channels."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from jax import Array
from pydantic import Field

from nets.layers.base import Bound, Convolution, Misfit
from nets.layers.parameters import Arrays, weights
from nets.layers.sliding import Sliding
from nets.layers.windows import PaddingField
from nets.spec.allowed import one_of
from nets.spec.fields import Boolean, Extent, Pair, Width
from nets.spec.values import Value

MOST_GROUPS = 65_536  # that are told of
Dilation = Annotated[Extent, Field(description="Distance between neighbours in the kernel.")]
Groups = Annotated[
    Width, Field(description="Groups of channels, each convolved by itself; as many as channels come in: depthwise.")
]
Bias = Annotated[Boolean, Field(description="Whether each channel gets a trained constant added.")]


def divisors(*numbers: int) -> list[int]:
    """What divides all of them."""
    common = math.gcd(*numbers)
    return [number for number in range(1, min(common, MOST_GROUPS) + 1) if common % number == 0]


class Kernelled(Sliding):
    """Base of convolutions and transposed convolutions.

    Subclasses have `dilation`, `groups` and `bias` where PyTorch's signatures have them, among fields of their own.
    """

    in_channels: Width | None = Field(default=None, description="Channels of the input; may be left out.")
    out_channels: Width = Field(description="Channels of the output.")
    kernel_size: Extent = Field(description="Size of the kernel.")
    stride: Extent = Field(default=1, description="Step of the kernel.")
    padding: PaddingField = Field(
        default=0, description="Zeros on each side; `same` gives ceil(size / stride), `valid` is 0."
    )
    if TYPE_CHECKING:  # fields of the subclasses
        dilation: Dilation
        groups: Groups
        bias: Bias

    aliases = {
        "filters": "out_channels",
        "kernel": "kernel_size",
        "strides": "stride",
        "dilation_rate": "dilation",
        "use_bias": "bias",
    }
    title = (1, "CNN")
    width = "out_channels"
    linear_map = True
    declares = "in_channels"

    @property
    def window(self) -> Pair:
        return self.both(self.kernel_size)

    @property
    def strides(self) -> Pair:
        return self.both(self.stride)

    @property
    def dilations(self) -> Pair:
        return self.both(self.dilation)

    def counted_in(self, value: Value) -> str:
        return "channel"

    def misfits(self, *inputs: Value) -> Iterator[Misfit]:
        declared, channels = list(super().misfits(*inputs)), inputs[0].channels
        yield from declared
        if not declared and (channels % self.groups or self.out_channels % self.groups):
            rule = f"must divide the {channels} input and {self.out_channels} output channels, got {self.groups}"
            yield Misfit("groups", rule, code="mismatch", expected=one_of(divisors(channels, self.out_channels)))

    def output(self, *inputs: Value) -> Value:
        return self.made(self.out_channels, self.places(inputs[0]))

    def per_group(self, channels: int) -> int:
        """Channels of one group: of a half-built network with more groups than channels, one."""
        return max(1, channels // self.groups)

    def joins(self, value: Value) -> Pair:
        """The last two axes of the kernel: channels that its convolution takes, and gives."""
        raise AssertionError(f"{type(self).__name__} joins no channels")

    def over(self, value: Value) -> Pair:
        """Height and width of the image that its convolution goes over."""
        raise AssertionError(f"{type(self).__name__} goes over nothing")

    def convolutions(self, *inputs: Value) -> Iterator[Convolution]:
        yield Convolution((*self.window, *self.joins(inputs[0])), self.geometry(inputs[0]), self.over(inputs[0]))

    def arrays(self, *inputs: Value) -> Arrays:
        shape = (*self.window[self.one_row :], *self.joins(inputs[0]))
        return weights(shape, outputs=self.out_channels, bias=self.bias)

    def kernel(self, bound: Bound) -> Array:
        """`[kh, kw, _, _]`."""
        kernel = bound.param("kernel")
        return kernel[None] if self.one_row else kernel

    def convolved(self, bound: Bound, x: Array) -> Array:
        """`[_, H, W, _]` without the bias."""
        raise AssertionError(f"{type(self).__name__} has no convolution")

    def apply(self, bound: Bound, *xs: Array) -> Array:
        y = self.as_value(self.convolved(bound, self.as_image(xs[0])))
        return y if (bias := bound.given("bias")) is None else y + bias
