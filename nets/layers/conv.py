"""Convolutions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, Self

from pydantic import Field

from nets.kernels.plan import Activation, Bound, Plan
from nets.layers.base import Example, Layer, Misfit, Parameter, Shape, described, register, uniform
from nets.layers.windows import PaddingField, outputs, padded, pads, too_wide
from nets.numerics.windows import Geometry
from nets.spec.fields import Boolean, Extent, Pair, Width, pair


@register
class Conv2d(Layer):
    """Two-dimensional cross-correlation. PyTorch's `nn.Conv2d`; `same` also takes a stride: ceil(size / stride)."""

    type: Literal["conv2d"] = "conv2d"
    in_channels: Width | None = Field(None, description="Channels that come in; told by the layer before.")
    out_channels: Width
    kernel_size: Extent
    stride: Extent = 1
    padding: PaddingField = 0
    dilation: Extent = 1
    groups: Width = 1
    bias: Boolean = True

    aliases = {"filters": "out_channels", "kernel": "kernel_size"}
    takes = "image"
    converts = True
    examples = (
        Example(
            {"type": "conv2d", "out_channels": 4, "kernel_size": 3, "stride": 1, "padding": "same"},
            (1, 9, 9),
            (4, 9, 9),
        ),
        Example(
            {"type": "conv2d", "in_channels": 1, "out_channels": 4, "kernel_size": 3, "stride": 1, "padding": "same"},
            (1, 12, 12),
            (4, 12, 12),
        ),
        Example({"type": "conv2d", "filters": 3, "kernel": 2, "stride": 2, "padding": "same"}, (2, 7, 5), (3, 4, 3)),
        Example({"type": "conv2d", "out_channels": 4, "kernel_size": [3, 2], "padding": 1}, (3, 6, 6), (4, 6, 7)),
        Example(
            {"type": "conv2d", "out_channels": 4, "kernel_size": 3, "dilation": 2, "groups": 2}, (2, 9, 9), (4, 5, 5)
        ),
        Example({"type": "conv2d", "out_channels": 2, "kernel_size": 3, "bias": False}, (36,), (2, 4, 4)),
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

    def pads(self, shape: Shape) -> tuple[Pair, Pair]:
        """Padding for an image of `shape` as ((top, bottom), (left, right))."""
        image = (shape[1], shape[2])
        return pads(self.padding, image, window=self.window, stride=self.strides, dilation=self.dilations)

    def misfits(self, shape: Shape) -> Iterator[Misfit]:
        yield from super().misfits(shape)
        if len(shape) != 3:
            return
        if self.in_channels is not None and self.in_channels != shape[0]:
            yield Misfit.declared(self, "in_channels", self.in_channels, shape[0], unit="channel")
        elif shape[0] % self.groups or self.out_channels % self.groups:
            yield Misfit(
                "groups", f"must divide the {shape[0]} input and {self.out_channels} output channels, got {self.groups}"
            )
        if min(self.output_shape(shape)) < 1:
            yield Misfit(
                "kernel_size",
                f"a {described(self.window)} kernel (dilation {described(self.dilations)}) is larger than the "
                f"{shape[1]} x {shape[2]} image with padding {self.padding!r}; use a smaller kernel or more padding",
                fatal=True,
            )
        elif wide := too_wide((shape[1], shape[2]), window=self.window, dilation=self.dilations):
            yield Misfit("kernel_size", wide)

    def filled(self, shape: Shape) -> Self:
        return self.model_copy(update={"in_channels": shape[0]})

    def padded_shape(self, shape: Shape) -> Shape:
        return padded(shape, self.pads(shape), self.strides)

    def output_shape(self, shape: Shape) -> Shape:
        image = (shape[1], shape[2])
        high, wide = outputs(image, self.pads(shape), window=self.window, stride=self.strides, dilation=self.dilations)
        return (self.out_channels, high, wide)

    def convolutions(self, shape: Shape) -> Iterator[tuple[Shape, Geometry]]:
        at = Geometry(self.strides, self.pads(shape), self.dilations, self.groups)
        yield self.parameters(shape)["kernel"].shape, at

    def parameters(self, shape: Shape) -> dict[str, Parameter]:
        per_group = shape[0] // self.groups
        init = uniform(per_group * self.window[0] * self.window[1])
        kernel = Parameter((*self.window, per_group, self.out_channels), init)
        return {"kernel": kernel, "bias": Parameter((self.out_channels,), init)} if self.bias else {"kernel": kernel}

    def apply(self, x: Activation, bound: Bound, plan: Plan) -> Activation:
        return plan.conv2d(
            x,
            bound.param("kernel"),
            bound.param("bias") if self.bias else None,
            stride=self.strides,
            padding=self.pads(bound.in_shape),
            dilation=self.dilations,
            groups=self.groups,
        )
