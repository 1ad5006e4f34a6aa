"""Pools that take the largest value of each window, and what all pools have in common."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from jax import Array
from pydantic import Field

from nets.layers.base import Bound, Example, Misfit, register
from nets.layers.sliding import Sliding
from nets.layers.windows import (
    NO_PLACES,
    Padding1d,
    PaddingField,
    Steps,
    largest_inside,
    largest_useful,
    pads,
    too_wide,
    whole_windows,
)
from nets.numerics.windows import Padding
from nets.spec.fields import Boolean, Extent, Pair
from nets.spec.values import Value, features, image, sequence

AS_CONV = "at most half the window; `same` and `valid` as in conv2d."
CEIL = "Whether a last window that reaches beyond the padding counts, if it begins within the image."


class Pool(Sliding):
    """Base of the pools with windows of one size."""

    kernel_size: Extent = Field(description="Size of the window.")
    stride: Extent | None = Field(None, description="Step of the window; the size of the window if left out.")

    aliases = {"pool_size": "kernel_size", "kernel": "kernel_size", "strides": "stride"}
    layouts = "any"

    @property
    def window(self) -> Pair:
        return self.both(self.kernel_size)

    @property
    def strides(self) -> Pair:
        return self.window if self.stride is None else self.both(self.stride)

    @property
    def rounds_up(self) -> bool:
        """Whether a last window that is not whole counts."""
        return False

    @property
    def margin(self) -> Pair | str:
        """Its padding, for height and width."""
        return 0, 0

    def asked(self, value: Value) -> Padding:
        """The padding that was asked for."""
        return pads(self.margin, self.size(value), window=self.window, stride=self.strides, dilation=self.dilations)

    def pads(self, value: Value) -> Padding:
        """The same, and what a last window sees beyond it."""
        if not self.rounds_up:
            return self.asked(value)
        return whole_windows(
            self.size(value), self.asked(value), window=self.window, stride=self.strides, dilation=self.dilations
        )

    def most_padding(self) -> Pair:
        """Half of what a window spans."""
        high, wide = ((d * (k - 1) + 1) // 2 for k, d in zip(self.window, self.dilations, strict=True))
        return high, wide

    def misfits(self, *inputs: Value) -> Iterator[Misfit]:
        size, most = self.size(inputs[0]), self.most_padding()
        if self.margin != "same" and any(max(p) > half for p, half in zip(self.asked(inputs[0]), most, strict=True)):
            # A window of nothing but padding would have no largest value.
            (above, _), (left, _) = self.asked(inputs[0])
            margin = self.by_axis((above, left))
            detail = f"must be at most half the {self.by_axis(self.window)} kernel, got {margin}"
            expected = self.up_to(most, least=0)
            yield Misfit("padding", detail, fatal=True, code="out_of_range", expected=expected)
        elif min(self.places(inputs[0])) < 1:
            yield Misfit(
                "kernel_size",
                f"a {self.by_axis(self.window)} window is larger than the {self.in_words(size)}; "
                "pool less often or use a smaller window",
                fatal=True,
                code="out_of_range",
                expected=self.up_to(largest_inside(size, self.pads(inputs[0]), self.dilations)),
            )
        elif too_far := too_wide(size, window=self.window, dilation=self.dilations, steps=self.one_row):
            expected = self.up_to(largest_useful(size, self.dilations))
            yield Misfit("kernel_size", too_far, code="out_of_range", expected=expected)

    def output(self, *inputs: Value) -> Value:
        return self.made(inputs[0].channels, self.places(inputs[0]))


class MaxPool(Pool):
    """Base of the max pools."""

    padding: PaddingField = Field(0, description=f"Margin on each side, {AS_CONV}")
    dilation: Extent = Field(1, description="Distance between neighbours in the window.")
    ceil_mode: Boolean = Field(False, description=CEIL)

    aliases = {**Pool.aliases, "dilation_rate": "dilation"}
    refused = NO_PLACES

    @property
    def margin(self) -> Pair | str:
        return self.margins(self.padding)

    @property
    def dilations(self) -> Pair:
        return self.both(self.dilation)

    @property
    def rounds_up(self) -> bool:
        return self.ceil_mode

    def misfits(self, *inputs: Value) -> Iterator[Misfit]:
        found = list(super().misfits(*inputs))
        yield from found
        if not found and self.geometry(inputs[0]).misses(self.size(inputs[0]), self.window):
            detail = f"leaves a window with no pixel of the {self.in_words(self.size(inputs[0]))} in it, "
            cure = f"got {self.padding!r} (dilation {self.by_axis(self.dilations)}); use less padding or dilation"
            yield Misfit("padding", detail + cure, fatal=True, code="out_of_range", expected={"const": 0})

    def apply(self, bound: Bound, *xs: Array) -> Array:
        y = bound.numerics.max_pool(self.as_image(xs[0]), self.window, self.geometry(bound.takes[0]))
        return self.as_value(y)


@register
class MaxPool2d(MaxPool):
    """Largest value of each window. PyTorch's `nn.MaxPool2d`; `same` gives ceil(size / stride)."""

    type: Literal["maxpool2d"] = "maxpool2d"

    also = ("max_pool2d", "maxpooling2d")
    takes = ("image",)
    converts = True
    cures = {"sequence": "use maxpool1d"}
    examples = (
        Example({"type": "maxpool2d", "kernel_size": 2, "stride": 2, "padding": 0}, (image(3, 8, 8),), image(3, 4, 4)),
        Example({"type": "maxpool2d", "pool_size": 3, "stride": 2, "padding": 1}, (image(2, 7, 7),), image(2, 4, 4)),
        Example(
            {"type": "maxpool2d", "kernel_size": [3, 2], "padding": "same", "stride": 1},
            (image(2, 5, 4),),
            image(2, 5, 4),
        ),
        Example({"type": "maxpool2d", "kernel_size": 2}, (features(25),), image(1, 2, 2)),
        Example(
            {"type": "maxpool2d", "kernel_size": 2, "stride": 2, "dilation": [1, 2], "ceil_mode": True},
            (image(2, 5, 6),),
            image(2, 3, 3),
        ),
    )


@register
class MaxPool1d(MaxPool):
    """Largest value of each window of a sequence, feature by feature. PyTorch's `nn.MaxPool1d`."""

    type: Literal["maxpool1d"] = "maxpool1d"
    kernel_size: Steps = Field(description="Steps in a window.")
    stride: Steps | None = Field(None, description="Step of the window; the size of the window if left out.")
    padding: Padding1d = Field(0, description=f"Margin on each side, {AS_CONV}")
    dilation: Steps = Field(1, description="Distance between neighbours in the window.")

    also = ("max_pool1d", "maxpooling1d")
    one_row = True
    takes = ("sequence",)
    cures = {"image": "use maxpool2d"}
    examples = (
        Example({"type": "maxpool1d", "kernel_size": 2}, (sequence(6, 3),), sequence(3, 3)),
        Example(
            {"type": "maxpool1d", "pool_size": [3], "strides": 2, "padding": 1, "ceil_mode": True},
            (sequence(6, 2),),
            sequence(4, 2),
        ),
    )
