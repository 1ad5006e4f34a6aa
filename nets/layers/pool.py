"""Pooling."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from nets.kernels.plan import Activation, Bound, Plan
from nets.layers.base import Example, Layer, Misfit, Shape, described, register
from nets.layers.windows import PaddingField, outputs, padded, pads, too_wide
from nets.spec.fields import Extent, Pair, pair


@register
class MaxPool2d(Layer):
    """Largest value of each window, floor mode. PyTorch's `nn.MaxPool2d`; `same` gives ceil(size / stride)."""

    type: Literal["maxpool2d"] = "maxpool2d"
    kernel_size: Extent
    stride: Extent | None = Field(None, description="As large as the kernel where left out.")
    padding: PaddingField = 0

    aliases = {"pool_size": "kernel_size", "kernel": "kernel_size"}
    takes = "image"
    converts = True
    examples = (
        Example({"type": "maxpool2d", "kernel_size": 2, "stride": 2, "padding": 0}, (3, 8, 8), (3, 4, 4)),
        Example({"type": "maxpool2d", "pool_size": 3, "stride": 2, "padding": 1}, (2, 7, 7), (2, 4, 4)),
        Example({"type": "maxpool2d", "kernel_size": [3, 2], "padding": "same", "stride": 1}, (2, 5, 4), (2, 5, 4)),
        Example({"type": "maxpool2d", "kernel_size": 2}, (25,), (1, 2, 2)),
    )

    @property
    def window(self) -> Pair:
        return pair(self.kernel_size)

    @property
    def strides(self) -> Pair:
        return self.window if self.stride is None else pair(self.stride)

    def pads(self, shape: Shape) -> tuple[Pair, Pair]:
        """Padding for an image of `shape` as ((top, bottom), (left, right))."""
        return pads(self.padding, (shape[1], shape[2]), window=self.window, stride=self.strides)

    def misfits(self, shape: Shape) -> Iterator[Misfit]:
        yield from super().misfits(shape)
        if len(shape) != 3:
            return
        if not isinstance(self.padding, str) and any(
            p > k // 2 for p, k in zip(pair(self.padding), self.window, strict=True)
        ):
            # A window of nothing but padding would have no largest value.
            yield Misfit(
                "padding", f"must be at most half the {described(self.window)} kernel, got {self.padding}", fatal=True
            )
        elif min(self.output_shape(shape)) < 1:
            yield Misfit(
                "kernel_size",
                f"a {described(self.window)} window is larger than the {shape[1]} x {shape[2]} image; "
                "pool less often or use a smaller window",
                fatal=True,
            )
        elif wide := too_wide((shape[1], shape[2]), window=self.window):
            yield Misfit("kernel_size", wide)

    def padded_shape(self, shape: Shape) -> Shape:
        return padded(shape, self.pads(shape), self.strides)

    def output_shape(self, shape: Shape) -> Shape:
        high, wide = outputs((shape[1], shape[2]), self.pads(shape), window=self.window, stride=self.strides)
        return (shape[0], high, wide)

    def apply(self, x: Activation, bound: Bound, plan: Plan) -> Activation:
        return plan.max_pool2d(x, window=self.window, stride=self.strides, padding=self.pads(bound.in_shape))
