"""Rows of an image as a kernel reads them: pixel by pixel, padding included, few enough to stay in the caches.

In an image the same pixel of two channels is often a multiple of 4 KiB apart, so that all channels map to the same
sets of a cache. In a strip they are neighbours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from llvmlite import ir

from nets.kernels.cpu.native.llvm_ir import FLOAT, HALF, INT, LANES, Code, Value, long, vector, zeros
from nets.numerics.windows import Geometry, Pair

Dtype = Literal["float32", "bfloat16"]
# How a strip holds the values: as the image does, or bfloat16 of two neighbouring channels side by side.
StripFormat = Literal["float32", "bfloat16", "pairs"]
SOURCES = {"float32": FLOAT, "bfloat16": HALF, "pairs": HALF}
ELEMENTS = {"float32": FLOAT, "bfloat16": HALF, "pairs": INT}
BYTES = {"float32": 4, "bfloat16": 2, "pairs": 4}


@dataclass(frozen=True)
class ConvShape:
    """A convolution of one group, in float32 or of bfloat16 operands."""

    channels: int
    size: Pair
    batch: int
    outputs: int
    window: Pair
    geometry: Geometry
    dtype: Dtype

    @property
    def places(self) -> Pair:
        return self.geometry.places(self.size, self.window)

    @property
    def taps(self) -> int:
        return self.window[0] * self.window[1]

    @property
    def lanes(self) -> int:
        """The batch and what fills its last vector up."""
        return -(-self.batch // LANES) * LANES

    @property
    def halo(self) -> int:
        """`rows` rows of the result see `rows * stride + halo` of the image."""
        return (self.window[0] - 1) * self.geometry.dilation[0] + 1 - self.geometry.stride[0]

    def input_rows(self, rows: int) -> int:
        return rows * self.geometry.stride[0] + self.halo

    @property
    def columns(self) -> int:
        """Width of the image with its padding."""
        return self.size[1] + sum(self.geometry.padding[1])

    def __str__(self) -> str:
        """For the name of a kernel."""
        values = (self.channels, *self.size, self.batch, self.outputs, *self.window, *sum(self.geometry.padding, ()))
        return "_".join(map(str, (self.dtype, *values, *self.geometry.dilation, *self.geometry.stride))).replace(
            "-", "m"
        )


@dataclass(frozen=True)
class Strip:
    """Some channels of some rows, for a slice of the batch: `[rows, columns, channels, slice]`, room behind pixels.

    units: channels, or pairs of them.
    """

    form: StripFormat
    columns: int
    units: int
    slice: int

    @property
    def pitch(self) -> int:
        """Elements from a pixel to the next: a line more than it has, lest pixels map to the same sets of a cache."""
        return self.units * self.slice + 64 // BYTES[self.form]

    def elements(self, rows: int) -> int:
        return rows * self.columns * self.pitch

    def bytes(self, rows: int) -> int:
        return self.elements(rows) * BYTES[self.form]

    def pixel(self, c: Code, row: Value | int, column: Value | int) -> Value:
        """The element at which a pixel begins."""
        return c.index(row, (column, self.columns), (0, self.pitch))


@dataclass(frozen=True)
class StripSource:
    """Where a strip is taken from: an image in memory and its padding."""

    memory: Value
    channels: int
    size: Pair
    batch: int
    top: int
    left: int


Range = tuple[Value, Value]


def inside(c: Code, shape: ConvShape, axis: int, start: Value, step: int, count: int) -> Range:
    """Which of `count` rows (columns, for axis 1) `start`, `start + step`, ... lie in the image and not in its padding.

    Returns: the first and the one behind the last of them, the latter no greater than the former where there are none.
    """
    (before, behind), size = shape.geometry.padding[axis], shape.size[axis]
    if max(before, behind) <= 0:
        return long(0), long(count)

    def steps_to(row: int) -> Value:
        distance = c.b.sub(long(row + step - 1), start)
        return distance if step == 1 else c.b.sdiv(distance, long(step))

    return c.most(steps_to(before), long(0)), c.least(steps_to(before + size), long(count))


def fill(
    c: Code, strip: Strip, memory: Value, image: StripSource, first: tuple[Value, Value, Value], rows: Value
) -> None:
    """Copy `rows` rows into a strip; zeros where the image has none.

    first: row (of the padded image), channel and slice of the batch to begin with.
    """
    b, (row, channel, part) = c.b, first
    with c.loop(rows) as i:
        y = b.sub(b.add(row, i), long(image.top))
        within = b.and_(c.b.icmp_signed(">=", y, long(0)), c.below(y, image.size[0]))
        with c.loop(strip.units) as unit:
            per = 2 if strip.form == "pairs" else 1
            depth = b.add(channel, b.mul(unit, long(per)))
            with b.if_else(b.and_(within, c.below(depth, image.channels))) as (there, elsewhere):
                with there:
                    _fill_row(c, strip, memory, image, (i, unit, depth, y, part))
                with elsewhere, c.loop(strip.columns) as column:
                    _put(c, strip, memory, (i, column, unit), None)


def _fill_row(
    c: Code, strip: Strip, memory: Value, image: StripSource, where: tuple[Value, Value, Value, Value, Value]
) -> None:
    i, unit, depth, y, part = where
    width, right = image.size[1], strip.columns - image.size[1] - image.left
    # Where more is cropped on one side than there is, the other's padding is all of it.
    for start, stop in ((0, min(image.left, strip.columns)), (max(strip.columns - right, 0), strip.columns)):
        if stop > start:
            with c.loop(stop, start) as column:
                _put(c, strip, memory, (i, column, unit), None)
    lanes, of = range(0, strip.slice, LANES), vector(SOURCES[strip.form])
    masks = {lane: valid(c, image.batch, c.index(part, (lane, strip.slice))) for lane in lanes}
    with c.loop(width + min(right, 0), max(-image.left, 0)) as x:

        def pixel(channel: Value, lane: int) -> Value:
            start = c.index(channel, (y, image.size[0]), (x, width), (0, image.batch))
            start, mask = c.b.add(start, c.index(part, (lane, strip.slice))), masks[lane]
            return c.load(image.memory, start, of) if mask is None else c.load_lanes(image.memory, start, of, mask)

        values = [pixel(depth, lane) for lane in lanes]
        if strip.form == "pairs":
            values = [_pair(c, value, depth, image, pixel, lane) for value, lane in zip(values, lanes, strict=True)]
        _put(c, strip, memory, (i, c.b.add(x, long(image.left)), unit), values)


def valid(c: Code, batch: int, first: Value) -> Value | None:
    """Which lanes of the vector that begins with image `first` there are; None where all vectors are full."""
    return c.mask(c.b.sub(long(batch), first)) if batch % LANES else None


def _pair(
    c: Code, low: Value, depth: Value, image: StripSource, pixel: Callable[[Value, int], Value], lane: int
) -> Value:
    """`low` and the same lanes of the next channel, which an odd number of channels lacks at its end."""
    b, wide = c.b, vector(INT)
    following = b.add(depth, long(1))
    if image.channels % 2:
        present = c.below(following, image.channels)
        high = pixel(b.select(present, following, depth), lane)
        high = b.select(present, high, zeros(high.type))
    else:
        high = pixel(following, lane)
    return b.or_(b.zext(low, wide), b.shl(b.zext(high, wide), ir.Constant(wide, [16] * LANES)))


def _put(c: Code, strip: Strip, memory: Value, where: tuple[Value, Value, Value], values: list[Value] | None) -> None:
    """Write a unit of a pixel; zeros for no values."""
    of = vector(ELEMENTS[strip.form])
    start = c.b.add(strip.pixel(c, where[0], where[1]), c.b.mul(where[2], long(strip.slice)))
    for index, lane in enumerate(range(0, strip.slice, LANES)):
        value = zeros(of) if values is None else values[index]
        c.store(value, memory, c.b.add(start, long(lane)))
