"""Residual blocks."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal, Self

from pydantic import Field

from nets.kernels.plan import Activation, Bound, Plan
from nets.layers.base import Example, Layer, Misfit, Parameter, Shape, ones, register, uniform, zeros
from nets.layers.norm import Eps, Momentum, doubts_about, statistics_of, tracked, unbiased
from nets.layers.windows import pads, too_wide
from nets.numerics.normalise import Moments
from nets.numerics.windows import Geometry
from nets.spec.fields import Extent, Pair, Width, pair


@register
class ResidualBlock(Layer):
    """relu(norm(conv(relu(norm(conv(x))))) + skip(x)). He et al., 2016.

    skip: a 1x1 convolution where the channels differ, else x itself.
    """

    type: Literal["residual_block"] = "residual_block"
    in_channels: Width | None = Field(None, description="Channels that come in; told by the layer before.")
    out_channels: Width
    kernel_size: Extent = 3
    eps: Eps = 1e-5
    momentum: Momentum = 0.1

    aliases = {"filters": "out_channels", "kernel": "kernel_size"}
    takes = "image"
    converts = True
    examples = (
        Example({"type": "residual_block", "out_channels": 4, "kernel_size": 3}, (4, 6, 6), (4, 6, 6)),
        Example(
            {"type": "residual_block", "in_channels": 4, "out_channels": 4, "kernel_size": 3}, (4, 6, 6), (4, 6, 6)
        ),
        Example({"type": "residual_block", "in_channels": 2, "out_channels": 3}, (2, 5, 4), (3, 5, 4)),
    )

    @property
    def window(self) -> Pair:
        return pair(self.kernel_size)

    def misfits(self, shape: Shape) -> Iterator[Misfit]:
        yield from super().misfits(shape)
        if len(shape) != 3:
            return
        if self.in_channels is not None and self.in_channels != shape[0]:
            yield Misfit.declared(self, "in_channels", self.in_channels, shape[0], unit="channel")
        if wide := too_wide((shape[1], shape[2]), window=self.window):
            yield Misfit("kernel_size", wide)

    def doubts(self) -> Iterator[tuple[str, str]]:
        return doubts_about(self.momentum)

    def filled(self, shape: Shape) -> Self:
        return self.model_copy(update={"in_channels": shape[0]})

    def output_shape(self, shape: Shape) -> Shape:
        return (self.out_channels, *shape[1:])

    def held(self, shape: Shape) -> int:
        return 4 * math.prod(self.output_shape(shape))  # what each convolution and each norm gives

    def convolutions(self, shape: Shape) -> Iterator[tuple[Shape, Geometry]]:
        around = pads("same", (shape[1], shape[2]), window=self.window, stride=(1, 1))
        for parameter in self.parameters(shape).values():
            if len(parameter.shape) == 4:
                yield parameter.shape, Geometry() if parameter.shape[:2] == (1, 1) else Geometry(padding=around)

    def parameters(self, shape: Shape) -> dict[str, Parameter]:
        found: dict[str, Parameter] = {}
        for name, channels in (("conv1", shape[0]), ("conv2", self.out_channels)):
            init = uniform(channels * self.window[0] * self.window[1])
            found[f"{name}_kernel"] = Parameter((*self.window, channels, self.out_channels), init)
            found[f"{name}_bias"] = Parameter((self.out_channels,), init)
        for name in ("norm1", "norm2"):
            found[f"{name}_scale"] = Parameter((self.out_channels,), ones)
            found[f"{name}_bias"] = Parameter((self.out_channels,), zeros)
        if shape[0] != self.out_channels:
            found["skip_kernel"] = Parameter((1, 1, shape[0], self.out_channels), uniform(shape[0]))
            found["skip_bias"] = Parameter((self.out_channels,), uniform(shape[0]))
        return found

    def statistics(self, shape: Shape) -> dict[str, Parameter]:
        width = (self.out_channels,)
        return {
            f"{name}_{what}": Parameter(width, init)
            for name in ("norm1", "norm2")
            for what, init in (("mean", zeros), ("var", ones))
        }

    def apply(self, x: Activation, bound: Bound, plan: Plan) -> Activation:
        skip = x
        if bound.in_shape[0] != self.out_channels:
            kernel, bias = bound.param("skip_kernel"), bound.param("skip_bias")
            skip = plan.conv2d(x, kernel, bias, stride=(1, 1), padding=((0, 0), (0, 0)))
        x = self.half(x, "1", bound, plan)
        return self.half(x, "2", bound, plan, skip=skip)

    def half(self, x: Activation, which: str, bound: Bound, plan: Plan, skip: Activation = None) -> Activation:
        """One convolution with its norm, the skip where there is one, and relu."""
        image = (bound.in_shape[1], bound.in_shape[2])
        around = pads("same", image, window=self.window, stride=(1, 1))
        x = plan.conv2d(x, bound.param(f"conv{which}_kernel"), None, stride=(1, 1), padding=around)
        names = f"norm{which}_mean", f"norm{which}_var"
        x, moments = plan.batch_norm(
            x,
            bound.param(f"norm{which}_scale"),
            bound.param(f"norm{which}_bias"),
            eps=self.eps,
            running=statistics_of(bound, *names),
            shift=bound.param(f"conv{which}_bias"),
            skip=skip,
            relu=True,
        )
        if moments is not None:
            self.track(bound, names, moments)
        return x

    def track(self, bound: Bound, names: tuple[str, str], moments: Moments) -> None:
        """Move one norm's running statistics towards those of a batch."""
        for name, seen in zip(names, (moments.mean, unbiased(moments)), strict=True):
            bound.update(name, tracked(bound.statistic(name), seen, self.momentum))
