"""Pooling."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from jax import Array
from pydantic import Field

from nets.layers.base import Bound, Example, Layer, Misfit, register
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
from nets.spec.fields import Extent, Pair, pair
from nets.spec.values import Value, described, features, image


@register
class MaxPool2d(Layer):
    """Largest value of each window, floor mode. PyTorch's `nn.MaxPool2d`; `same` gives ceil(size / stride)."""

    type: Literal["maxpool2d"] = "maxpool2d"
    kernel_size: Extent = Field(description="Size of the window.")
    stride: Extent | None = Field(None, description="Step of the window; the size of the window if left out.")
    padding: PaddingField = Field(
        0, description="Margin on each side, at most half the window; `same` and `valid` as in conv2d."
    )

    also = ("max_pool2d", "maxpooling2d")
    aliases = {"pool_size": "kernel_size", "kernel": "kernel_size"}
    takes = ("image",)
    converts = True
    examples = (
        Example({"type": "maxpool2d", "kernel_size": 2, "stride": 2, "padding": 0}, (image(3, 8, 8),), image(3, 4, 4)),
        Example({"type": "maxpool2d", "pool_size": 3, "stride": 2, "padding": 1}, (image(2, 7, 7),), image(2, 4, 4)),
        Example(
            {"type": "maxpool2d", "kernel_size": [3, 2], "padding": "same", "stride": 1},
            (image(2, 5, 4),),
            image(2, 5, 4),
        ),
        Example({"type": "maxpool2d", "kernel_size": 2}, (features(25),), image(1, 2, 2)),
    )

    @property
    def window(self) -> Pair:
        return pair(self.kernel_size)

    @property
    def strides(self) -> Pair:
        return self.window if self.stride is None else pair(self.stride)

    def geometry(self, value: Value) -> Geometry:
        """Where the window goes over an image."""
        return Geometry(self.strides, self.pads(value))

    def pads(self, value: Value) -> tuple[Pair, Pair]:
        """Padding for an image as ((top, bottom), (left, right))."""
        _, high, wide = value.shape
        return pads(self.padding, (high, wide), window=self.window, stride=self.strides)

    def misfits(self, *inputs: Value) -> Iterator[Misfit]:
        _, high, wide = inputs[0].shape
        if not isinstance(self.padding, str) and any(
            p > k // 2 for p, k in zip(pair(self.padding), self.window, strict=True)
        ):
            # A window of nothing but padding would have no largest value.
            yield Misfit(
                "padding",
                f"must be at most half the {described(self.window)} kernel, got {self.padding}",
                fatal=True,
                code="out_of_range",
                expected=sizes_up_to((self.window[0] // 2, self.window[1] // 2), least=0),
            )
        elif min(self.output(*inputs).shape) < 1:
            yield Misfit(
                "kernel_size",
                f"a {described(self.window)} window is larger than the {high} x {wide} image; "
                "pool less often or use a smaller window",
                fatal=True,
                code="out_of_range",
                expected=sizes_up_to(largest_inside((high, wide), self.pads(inputs[0]), (1, 1))),
            )
        elif too_far := too_wide((high, wide), window=self.window):
            most = largest_useful((high, wide), (1, 1))
            yield Misfit("kernel_size", too_far, code="out_of_range", expected=sizes_up_to(most))

    def padded(self, *inputs: Value) -> int:
        return padded(inputs[0], self.pads(inputs[0]), self.strides)

    def output(self, *inputs: Value) -> Value:
        channels, height, width = inputs[0].shape
        high, wide = outputs((height, width), self.pads(inputs[0]), window=self.window, stride=self.strides)
        return image(channels, high, wide)

    def apply(self, bound: Bound, *xs: Array) -> Array:
        return bound.numerics.max_pool(xs[0], self.window, self.geometry(bound.takes[0]))
