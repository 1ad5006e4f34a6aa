"""Transposed convolutions: the gradients of convolutions, which make images larger."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

import jax.numpy as jnp
from jax import Array
from pydantic import Field

from nets.layers.base import Bound, Cost, Example, Misfit, register
from nets.layers.kernel import Bias, Dilation, Groups, Kernelled
from nets.layers.windows import Margin, Margin1d, Padding1d, PaddingField, Steps, pads
from nets.numerics.windows import Geometry, Padding
from nets.spec.fields import Extent, Pair
from nets.spec.values import Value, image, sequence


class Transposed(Kernelled):
    """Base of the transposed convolutions. Zeiler et al., 2010.

    The kernel is that of the convolution whose gradient this is: `[kh, kw, out / groups, in]`.
    """

    stride: Extent = Field(
        default=1, description="How far apart neighbours of the input are laid: about how many times as large it gets."
    )
    padding: PaddingField = Field(
        default=0, description="What is cut off on each side; `same` gives size * stride, `valid` is 0."
    )
    output_padding: Margin = Field(
        default=0, description="What is added at the end of each axis; less than the stride or the dilation."
    )
    groups: Groups = 1
    bias: Bias = True
    dilation: Dilation = 1

    refused = {"padding_mode": "Nothing but zeros goes with a transposed convolution, as in PyTorch; leave it out"}

    @property
    def added(self) -> Pair:
        """The output padding, for height and width."""
        return self.both(self.output_padding, beside=0)

    def cut(self, value: Value) -> Padding:
        """What is taken off ((top, bottom), (left, right)) of all that the kernel reaches; below 0: zeros are added."""
        if self.padding == "same":
            return pads("same", self.enlarged(value), window=self.window, stride=self.strides, dilation=self.dilations)
        margin = (0, 0) if isinstance(self.padding, str) else self.both(self.padding, beside=0)
        rows, columns = ((cut, cut - more) for cut, more in zip(margin, self.added, strict=True))
        return rows, columns

    def enlarged(self, value: Value) -> Pair:
        high, wide = (side * step for side, step in zip(self.size(value), self.strides, strict=True))
        return high, wide

    def places(self, value: Value) -> Pair:
        """Height and width of what comes out."""
        if self.padding == "same":
            return self.enlarged(value)
        high, wide = (
            (side - 1) * step + apart * (taps - 1) + 1 - sum(cut)
            for side, step, apart, taps, cut in zip(
                self.size(value), self.strides, self.dilations, self.window, self.cut(value), strict=True
            )
        )
        return high, wide

    def pads(self, value: Value) -> Padding:
        """Padding of the convolution whose gradient this is."""
        rows, columns = ((low, max(high, 0)) for low, high in self.cut(value))
        return rows, columns

    def reached(self, value: Value) -> Pair:
        """Height and width of what comes out without the zeros that are added at the end."""
        high, wide = (side + min(cut[1], 0) for side, cut in zip(self.places(value), self.cut(value), strict=True))
        return high, wide

    def geometry(self, value: Value) -> Geometry:
        return replace(super().geometry(value), groups=self.groups)

    def misfits(self, *inputs: Value) -> Iterator[Misfit]:
        yield from super().misfits(*inputs)
        most = [max(each) - 1 for each in zip(self.strides, self.dilations, strict=True)]
        if self.padding == "same" and any(self.added):
            rule = "must be 0 where padding is 'same', which gives size * stride, got {said}; leave it out"
            yield Misfit("output_padding", rule.format(said=self.by_axis(self.added)), expected={"const": 0}, set_to=0)
        elif any(more > least for more, least in zip(self.added, most, strict=True)):
            sizes = f"stride {self.by_axis(self.strides)} or the dilation {self.by_axis(self.dilations)}"
            detail = f"must be smaller than the {sizes}, got {self.by_axis(self.added)}"
            expected = self.up_to((most[0], most[1]), least=0)
            yield Misfit("output_padding", detail, code="out_of_range", expected=expected)
        elif min(self.reached(inputs[0])) < 1:
            detail = f"cuts everything off what the kernel makes of a {self.in_words(self.size(inputs[0]))}, "
            high, wide = ((side - 1) // 2 for side in self.model_copy(update={"padding": 0}).reached(inputs[0]))
            detail, expected = f"{detail}got {self.padding!r}; use less padding", self.up_to((high, wide), least=0)
            yield Misfit("padding", detail, True, "out_of_range", expected)

    def joins(self, value: Value) -> Pair:
        return self.per_group(self.out_channels), value.channels

    def over(self, value: Value) -> Pair:
        return self.reached(value)

    def padded(self, *inputs: Value) -> int:
        """The input with zeros between its pixels."""
        return self.output(*inputs).positions * inputs[0].channels

    def cost(self, *inputs: Value) -> Cost:
        macs = math.prod(self.arrays(*inputs).parameters["kernel"].shape) * inputs[0].positions
        return super().cost(*inputs)._replace(macs=macs)

    def ended(self, y: Array, value: Value) -> Array:
        """`[_, H, W, _]` with the zeros at its end, where there are any."""
        rows, columns = (max(-high, 0) for _, high in self.cut(value))
        return jnp.pad(y, ((0, 0), (0, rows), (0, columns), (0, 0))) if rows or columns else y

    def convolved(self, bound: Bound, x: Array) -> Array:
        value = bound.takes[0]
        y = bound.numerics.convolve_transposed(x, self.kernel(bound), self.geometry(value), self.reached(value))
        return self.ended(y, value)


@register
class ConvTranspose2d(Transposed):
    """The transpose of a convolution: enlarges images. PyTorch's `nn.ConvTranspose2d`; `same` gives size * stride."""

    type: Literal["convtranspose2d"] = "convtranspose2d"

    also = ("conv_transpose2d", "conv2dtranspose", "convolution2dtranspose", "deconv2d")
    takes = ("image",)
    converts = True
    cures = {"sequence": "use convtranspose1d"}
    examples = (
        Example(
            {"type": "convtranspose2d", "out_channels": 4, "kernel_size": 2, "stride": 2},
            (image(3, 4, 4),),
            image(4, 8, 8),
        ),
        Example(
            {
                "type": "convtranspose2d",
                "out_channels": 2,
                "kernel_size": 3,
                "stride": [2, 1],
                "padding": 1,
                "output_padding": [1, 0],
                "groups": 2,
            },
            (image(4, 3, 4),),
            image(2, 6, 4),
        ),
        Example(
            {"type": "convtranspose2d", "filters": 2, "kernel_size": 3, "strides": 2, "padding": "same", "bias": False},
            (image(3, 3, 4),),
            image(2, 6, 8),
        ),
    )


@register
class ConvTranspose1d(Transposed):
    """The transpose of a convolution along a sequence: makes it longer. PyTorch's `nn.ConvTranspose1d`."""

    type: Literal["convtranspose1d"] = "convtranspose1d"
    kernel_size: Steps = Field(description="Steps that the kernel reaches.")
    stride: Steps = Field(
        default=1, description="How far apart neighbours of the input are laid: about how many times as large it gets."
    )
    padding: Padding1d = Field(
        default=0, description="What is cut off on each side; `same` gives length * stride, `valid` is 0."
    )
    output_padding: Margin1d = Field(
        default=0, description="What is added at the end; less than the stride or the dilation."
    )
    dilation: Steps = Field(default=1, description="Distance between neighbours in the kernel.")

    also = ("conv_transpose1d", "conv1dtranspose", "convolution1dtranspose")
    one_row = True
    takes = ("sequence",)
    cures = {"image": "use convtranspose2d", "tokens": "put an embedding before it"}
    examples = (
        Example(
            {"type": "convtranspose1d", "out_channels": 4, "kernel_size": 3, "stride": 2, "padding": 1},
            (sequence(4, 3),),
            sequence(7, 4),
        ),
    )
