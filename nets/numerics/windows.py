"""Where the window of a convolution or a pool goes, and how many places that makes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

Pair = tuple[int, int]
Padding = tuple[Pair, Pair]
Sizes = Sequence[int]  # height and width: a pair, or a slice of a shape
NO_PADDING: Padding = ((0, 0), (0, 0))


@dataclass(frozen=True)
class Geometry:
    """Stride, padding (low, high) and dilation per axis (height, width), and the number of channel groups."""

    stride: Pair = (1, 1)
    padding: Padding = NO_PADDING
    dilation: Pair = (1, 1)
    groups: int = 1

    def places(self, size: Sizes, window: Sizes) -> Pair:
        """Height and width of what comes out when a `window` goes over an image of `size`."""
        height, width = (
            (size[axis] + sum(self.padding[axis]) - self.dilation[axis] * (window[axis] - 1) - 1) // self.stride[axis]
            + 1
            for axis in (0, 1)
        )
        return height, width

    def misses(self, size: Sizes, window: Sizes) -> bool:
        """Whether there is a place where a window meets nothing of an image of `size`."""
        for axis, places in enumerate(self.places(size, window)):
            first = np.arange(places) * self.stride[axis] - self.padding[axis][0]
            taps = first[:, None] + np.arange(window[axis]) * self.dilation[axis]
            if not ((taps >= 0) & (taps < size[axis])).any(1).all():
                return True
        return False

    def tight(self, size: Sizes, window: Sizes) -> Geometry:
        """The same places with a stride that leads no further than to the last one: a larger one asks for padding."""
        strides = [
            min(stride, max(size[axis] + sum(self.padding[axis]) - self.dilation[axis] * (window[axis] - 1), 1))
            for axis, stride in enumerate(self.stride)
        ]
        return replace(self, stride=(strides[0], strides[1]))

    @property
    def across(self) -> Geometry:
        """What a window of one row does."""
        return Geometry((1, self.stride[1]), ((0, 0), self.padding[1]), (1, self.dilation[1]))

    @property
    def down(self) -> Geometry:
        """What a window of one column does."""
        return Geometry((self.stride[0], 1), (self.padding[0], (0, 0)), (self.dilation[0], 1))

    @property
    def dense(self) -> bool:
        """Neighbouring places take neighbouring pixels: stride 1, no dilation."""
        return self.stride == (1, 1) and self.dilation == (1, 1)

    def cropped(self, size: Sizes, window: Sizes) -> tuple[tuple[slice, slice], Geometry]:
        """The rows and columns of a `window` without those that see nothing but padding, and how these go over it.

        An image of 3 x 3 under a window of 7 x 7 with three rows of padding around meets 25 of its 49 taps.
        """
        kept, padding = [], []
        for axis, places in enumerate(self.places(size, window)):
            (low, high), stride, dilation = self.padding[axis], self.stride[axis], self.dilation[axis]
            # The first tap sees most in the last place, the last one in the first place. No padding turns negative.
            first = max(0, low - (places - 1) * stride) // dilation
            behind = min(max(0, window[axis] + (-low - size[axis]) // dilation), high // dilation)
            first = min(first, window[axis] - 1 - behind)
            kept.append(slice(first, window[axis] - behind))
            padding.append((low - first * dilation, high - behind * dilation))
        return (kept[0], kept[1]), replace(self, padding=(padding[0], padding[1]))

    def col2im_padding(self, tap: int, size: int, places: int, *, axis: int) -> tuple[int, int, int]:
        """The (low, high, interior) padding that lays `places` values on the pixels that one tap met."""
        stride = self.stride[axis]
        low = tap * self.dilation[axis] - self.padding[axis][0]
        return low, size - low - ((places - 1) * stride + 1), stride - 1
