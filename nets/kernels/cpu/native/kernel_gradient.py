"""The gradient of a kernel: for each of its taps the products of image and gradient, summed over places and batch.

The sums of neighbouring taps of a row are made together, for each pixel that is loaded serves all of them. Parts divide
the channels, the outputs, the batch and, where that is too few, the rows; what the last two give is summed by XLA.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import product
from math import prod

import jax
import jax.numpy as jnp
from jax import Array
from llvmlite import ir

from nets.kernels.cpu import limits
from nets.kernels.cpu.native import compiler
from nets.kernels.cpu.native.call import Kernel, compiled, kernel_code
from nets.kernels.cpu.native.forward import multiply_add
from nets.kernels.cpu.native.llvm_ir import FLOAT, HALF, LANES, Code, Value, long, vector, zeros
from nets.kernels.cpu.native.strips import ELEMENTS, ConvShape, Range, Strip, StripSource, fill, inside

BLOCK = 16  # channels and outputs of a part, about
MOST_ADDED = 32  # partial sums that are added one by one
# The same for any number of processors, since where sums are cut decides how they are rounded. As fast on two as fewer.
FEWEST_PARTS = 16


@dataclass(frozen=True)
class _Tile:
    """How many taps of a row, channels and outputs are summed at a time."""

    taps: int
    channels: int
    outputs: int


@dataclass(frozen=True)
class _Cut:
    """How the work is cut: strips of image and gradient, their rows, and into how many groups the rows are divided."""

    tile: _Tile
    image: Strip
    gradient: Strip
    rows: int
    groups: int


def kernel_gradient(x: Array, g: Array, shape: ConvShape) -> Array:
    """`[in, H, W, B], [out, H', W', B] -> [kh, kw, in, out]`; both as `shape.dtype`."""
    cut = _cut(shape)
    inputs, outputs = _padded(shape, cut)
    sums = shape.lanes // cut.image.slice * cut.groups
    result = jax.ShapeDtypeStruct((sums, *shape.window, inputs, outputs), jnp.float32)
    parts = _kernel(shape, cut)([result], x, g)[0]
    # XLA's sum over the first axis takes ten times as long as two additions.
    total = reduce(jnp.add, list(parts)) if sums <= MOST_ADDED else parts.sum(axis=0)
    return total[:, :, : shape.channels, : shape.outputs]


def values_of_parts(shape: ConvShape) -> int:
    """How many there are of the sums that XLA adds up."""
    cut = _cut(shape)
    return shape.lanes // cut.image.slice * cut.groups * shape.taps * prod(_padded(shape, cut))


def _kernel(shape: ConvShape, cut: _Cut) -> Kernel:
    tile = cut.tile
    sizes = (cut.image.slice, cut.image.units, cut.gradient.units, tile.taps, tile.channels, tile.outputs, cut.rows)
    name = "_".join(map(str, ("kernel", shape, *sizes, cut.groups)))
    return compiled(name, lambda module: _write(module, shape, cut), inputs=2, outputs=1)


def _padded(shape: ConvShape, cut: _Cut) -> tuple[int, int]:
    """Channels and outputs, rounded up to whole blocks."""
    image, gradient = cut.image.units, cut.gradient.units
    return -(-shape.channels // image) * image, -(-shape.outputs // gradient) * gradient


def _tile(shape: ConvShape) -> _Tile:
    """The tile that needs least time for a product: multiplications, loads, and lines from L2."""
    registers = compiler.vectors().registers
    most = 3 * registers // 4

    def cost(tile: _Tile) -> float:
        sums = tile.taps * tile.channels * tile.outputs
        loads, lines = tile.taps * tile.channels + tile.outputs, tile.channels + tile.outputs
        if sums > most or sums + min(loads, tile.outputs + 1) >= registers:  # one is left for what comes and goes
            return float("inf")
        empty = _up(shape.channels, tile.channels) * _up(shape.outputs, tile.outputs)
        # Two multiplications and two loads a cycle; a sum that is added to waits four. A line takes about two cycles.
        return empty * (max(0.5, loads / sums / 2, 4 / sums) + 0.35 * lines / sums + 1e-4 * (most - sums))

    taps = [n for n in range(1, 9) if shape.window[1] % n == 0]
    channels, outputs = range(1, min(shape.channels, 8) + 1), range(1, min(shape.outputs, most) + 1)
    return min((_Tile(*sizes) for sizes in product(taps, channels, outputs)), key=cost)


def _up(number: int, unit: int) -> int:
    return -(-number // unit) * unit


def _block(number: int, unit: int) -> int:
    """About `BLOCK`, all of them alike, in whole tiles."""
    return _up(-(-number // max(1, round(number / BLOCK))), unit)


def _cut(shape: ConvShape) -> _Cut:
    tile, height = _tile(shape), shape.places[0]
    blocks = _block(shape.channels, tile.channels), _block(shape.outputs, tile.outputs)
    slices = [n for n in (4 * LANES, 2 * LANES, LANES) if shape.lanes % n == 0]
    # Whole lines of memory where the image is small enough: a pixel of a batch of 64 is four of them.
    fitting = (n for n in slices if n <= 2 * LANES or _bytes(shape, blocks, n, height) <= limits.NATIVE_STRIP_BYTES)
    slice = next(fitting)
    parts = shape.lanes // slice * -(-shape.channels // blocks[0]) * -(-shape.outputs // blocks[1])
    each = -(-height // min(height, max(1, FEWEST_PARTS // parts)))
    rows = max(
        (n for n in range(1, each + 1) if _bytes(shape, blocks, slice, n) <= limits.NATIVE_STRIP_BYTES), default=1
    )
    rows = -(-each // -(-each // rows))
    return _Cut(tile, *_strips(shape, blocks, slice), rows, -(-height // each))


def _strips(shape: ConvShape, blocks: tuple[int, int], slice: int) -> tuple[Strip, Strip]:
    return Strip(shape.dtype, shape.columns, blocks[0], slice), Strip(shape.dtype, shape.places[1], blocks[1], slice)


def _bytes(shape: ConvShape, blocks: tuple[int, int], slice: int, rows: int) -> int:
    image, gradient = _strips(shape, blocks, slice)
    return image.bytes(shape.input_rows(rows)) + gradient.bytes(rows)


def _write(module: ir.Module, shape: ConvShape, cut: _Cut) -> tuple[int, int]:
    slices, (inputs, outputs) = shape.lanes // cut.image.slice, _padded(shape, cut)
    blocks = inputs // cut.image.units, outputs // cut.gradient.units
    of_image = _up(cut.image.bytes(shape.input_rows(cut.rows)), 64) // 4
    size = of_image + _up(cut.gradient.bytes(cut.rows), 64) // 4
    c = kernel_code(module, arrays=3)
    b = c.b
    x, g, sums, scratch, part, slot = c.arguments
    scratch = c.address(scratch, b.mul(slot, long(size)))
    gradients = c.address(scratch, of_image)
    output, rest = b.mul(b.srem(part, long(blocks[1])), long(cut.gradient.units)), b.sdiv(part, long(blocks[1]))
    channel, rest = b.mul(b.srem(rest, long(blocks[0])), long(cut.image.units)), b.sdiv(rest, long(blocks[0]))
    slice, group = b.srem(rest, long(slices)), b.sdiv(rest, long(slices))
    sums = c.address(sums, b.mul(rest, long(shape.taps * inputs * outputs)))
    each = -(-shape.places[0] // cut.groups)
    first = b.mul(group, long(each))
    last = c.least(b.add(first, long(each)), long(shape.places[0]))
    (top, _), (left, _) = shape.geometry.padding
    image = StripSource(x, shape.channels, shape.size, shape.batch, top, left)
    gradient = StripSource(g, shape.outputs, shape.places, shape.batch, 0, 0)
    writer = _Writer(c, shape, cut, sums, (inputs, outputs))
    with c.loop(last, first, cut.rows) as row:
        rows = c.least(b.sub(last, row), long(cut.rows))
        input_rows = b.add(b.mul(rows, long(shape.geometry.stride[0])), long(shape.halo))
        fill(c, cut.image, scratch, image, (b.mul(row, long(shape.geometry.stride[0])), channel, slice), input_rows)
        fill(c, cut.gradient, gradients, gradient, (row, output, slice), rows)
        writer.add_rows((scratch, gradients), (row, rows), (channel, output), b.icmp_signed("==", row, first))
    b.ret_void()
    return cut.groups * slices * blocks[0] * blocks[1], size


Sums = Sequence[Sequence[Sequence[Value]]]


@dataclass(frozen=True)
class _Writer:
    """The innermost part: the sums of a tile over the rows in the strips."""

    c: Code
    shape: ConvShape
    cut: _Cut
    sums: Value
    padded: tuple[int, int]

    @property
    def lanes(self) -> int:
        """Of a vector of sums: half as many as bfloat16 products, which come in pairs."""
        if self.shape.dtype == "bfloat16" and self.cut.image.slice == LANES:
            return LANES // 2
        return compiler.vectors().lanes

    def add_rows(
        self, strips: tuple[Value, Value], rows: tuple[Value, Value], first: tuple[Value, Value], fresh: Value
    ) -> None:
        """rows: the first in the strips, and how many. first: channel and output at which the blocks begin.

        fresh: whether nothing was summed before.
        """
        c, cut, tile = self.c, self.cut, self.cut.tile
        with (
            c.loop(cut.image.units // tile.channels) as channels,
            c.loop(cut.gradient.units // tile.outputs) as outputs,
            c.loop(self.shape.window[0]) as i,
            c.loop(self.shape.window[1] // tile.taps) as group,
        ):
            channel, output = c.b.mul(channels, long(tile.channels)), c.b.mul(outputs, long(tile.outputs))
            j = c.b.mul(group, long(tile.taps))
            registers = self._add_tile(strips, rows, (channel, output), (i, j))
            self._end(registers, (i, j), (c.b.add(first[0], channel), c.b.add(first[1], output)), fresh)

    def _add_tile(
        self,
        strips: tuple[Value, Value],
        rows: tuple[Value, Value],
        within: tuple[Value, Value],
        tap: tuple[Value, Value],
    ) -> Sums:
        c, cut, tile, (down, across) = self.c, self.cut, self.cut.tile, self.shape.geometry.dilation
        of = vector(FLOAT, self.lanes)
        registers = [
            [[c.variable(of) for _ in range(tile.outputs)] for _ in range(tile.channels)] for _ in range(tile.taps)
        ]
        for place in (place for plane in registers for line in plane for place in line):
            c.store(zeros(of), place)
        with c.loop(*reversed(self._seen(tap[0], rows))) as row, c.loop(self.shape.places[1]) as column:
            y = c.b.add(c.b.mul(row, long(self.shape.geometry.stride[0])), c.b.mul(tap[0], long(down)))
            x = c.b.add(c.b.mul(column, long(self.shape.geometry.stride[1])), c.b.mul(tap[1], long(across)))
            pixel = c.b.add(cut.image.pixel(c, y, x), c.b.mul(within[0], long(cut.image.slice)))
            gradient = c.b.add(cut.gradient.pixel(c, row, column), c.b.mul(within[1], long(cut.gradient.slice)))
            element = ELEMENTS[self.shape.dtype]
            self._add_place(registers, c.address(strips[0], pixel, element), c.address(strips[1], gradient, element))
        return registers

    def _seen(self, tap: Value, rows: tuple[Value, Value]) -> Range:
        """Of the rows in the strips those in which a row of taps does not meet padding."""
        c, geometry, (first, count) = self.c, self.shape.geometry, rows
        start = c.b.mul(tap, long(geometry.dilation[0]))
        begin, end = inside(c, self.shape, 0, start, geometry.stride[0], self.shape.places[0])
        return c.most(c.b.sub(begin, first), long(0)), c.least(c.b.sub(end, first), count)

    def _add_place(self, registers: Sums, pixel: Value, gradient: Value) -> None:
        c, slice, step = self.c, self.cut.image.slice, self.shape.geometry.dilation[1] * self.cut.image.pitch
        of = vector(FLOAT, self.lanes) if self.shape.dtype == "float32" else vector(HALF, 2 * self.lanes)
        for lane in range(0, slice, of.count):
            values = [c.load(gradient, k * slice + lane, of) for k in range(self.cut.tile.outputs)]
            for j, plane in enumerate(registers):
                for channel, line in enumerate(plane):
                    value_of_tap = c.load(pixel, j * step + channel * slice + lane, of)
                    for place, value in zip(line, values, strict=True):
                        total = c.b.load(place, typ=vector(FLOAT, self.lanes))
                        c.store(multiply_add(c, value_of_tap, value, total), place)

    def _end(self, registers: Sums, tap: tuple[Value, Value], first: tuple[Value, Value], fresh: Value) -> None:
        """In a loop: unrolled, the sums over lanes would be as much code as all products."""
        c, tile, (inputs, outputs), of = self.c, self.cut.tile, self.padded, vector(FLOAT, self.lanes)
        kept = c.variable(of, tile.taps * tile.channels * tile.outputs)
        for i, place in enumerate(place for plane in registers for line in plane for place in line):
            c.store(c.b.load(place, typ=of), kept, i * self.lanes)
        with c.loop(tile.taps) as j, c.loop(tile.channels) as channel, c.loop(tile.outputs) as k:
            row = c.index(tap[0], (c.b.add(tap[1], j), self.shape.window[1]))
            row = c.index(row, (c.b.add(first[0], channel), inputs), (c.b.add(first[1], k), outputs))
            number = c.index(j, (channel, tile.channels), (k, tile.outputs))
            total = c.sum(c.load(kept, c.b.mul(number, long(self.lanes)), of))
            address = c.address(self.sums, row)
            before = c.b.select(fresh, ir.Constant(FLOAT, 0.0), c.b.load(address, typ=FLOAT))
            c.b.store(c.b.fadd(before, total), address)
