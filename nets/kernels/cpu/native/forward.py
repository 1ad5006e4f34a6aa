"""An image from an image: every value of the result is summed up in a register, over all taps and channels."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import Array
from llvmlite import ir

from nets.kernels.cpu import limits
from nets.kernels.cpu.gemm import row_major
from nets.kernels.cpu.native import compiler
from nets.kernels.cpu.native.call import Kernel, compiled, fewest_parts, kernel_code
from nets.kernels.cpu.native.llvm_ir import BFLOAT, FLOAT, HALF, INT, LANES, Code, Value, long, vector, zeros
from nets.kernels.cpu.native.strips import ConvShape, Range, Strip, StripSource, fill, inside, valid


@dataclass(frozen=True)
class Epilogue:
    """What is done to a value before it is written. rounded: as bfloat16."""

    relu: bool = False
    rounded: bool = False


@dataclass(frozen=True)
class _Tiles:
    """How the work is cut: the parts of the batch, rows of the result a part, outputs in registers at a time."""

    strip: Strip
    rows: int
    outputs: int


def _most_sums() -> int:
    """Vectors of `LANES` that three quarters of the registers hold; the others are for pixels and a weight."""
    vectors = compiler.vectors()
    return 3 * vectors.registers * vectors.lanes // (4 * LANES)


def convolve(x: Array, kernel: Array, bias: Array | None, shape: ConvShape, epilogue: Epilogue) -> Array:
    """`[in, H, W, B] * [kh, kw, in, out] -> [out, H', W', B]`; `x` as `shape.dtype`."""
    tiles = _cut(shape)
    result = jax.ShapeDtypeStruct(
        (shape.outputs, *shape.places, shape.batch), jnp.bfloat16 if epilogue.rounded else jnp.float32
    )
    padding = -shape.outputs % tiles.outputs
    bias = jnp.zeros(shape.outputs + padding) if bias is None else jnp.pad(bias.astype(jnp.float32), (0, padding))
    return _kernel(shape, tiles, epilogue)([result], x, _weights(kernel, shape, tiles), row_major(bias))[0]


def _kernel(shape: ConvShape, tiles: _Tiles, epilogue: Epilogue) -> Kernel:
    name = f"image_{shape}_{tiles.strip.slice}_{tiles.rows}_{tiles.outputs}_{epilogue.relu:d}{epilogue.rounded:d}"
    return compiled(name, lambda module: _write(module, shape, tiles, epilogue), inputs=3, outputs=1)


def _weights(kernel: Array, shape: ConvShape, tiles: _Tiles) -> Array:
    """In the order in which they are read: `[tiles, taps, in, outputs of a tile]`, of bfloat16 two inputs each."""
    count = -(-shape.outputs // tiles.outputs)
    kernel = kernel.reshape(shape.taps, shape.channels, shape.outputs)
    per = 2 if shape.dtype == "bfloat16" else 1
    kernel = jnp.pad(kernel, ((0, 0), (0, -shape.channels % per), (0, count * tiles.outputs - shape.outputs)))
    kernel = kernel.astype(shape.dtype).reshape(shape.taps, -1, per, count, tiles.outputs)
    return row_major(kernel.transpose(3, 0, 1, 4, 2))


def _cut(shape: ConvShape) -> _Tiles:
    strips = [_strip(shape, slice) for slice in (2 * LANES, LANES) if shape.lanes % slice == 0]
    strip = next((s for s in strips if _fits_l2(s, shape.input_rows(1))), strips[-1])
    slices, height = shape.lanes // strip.slice, shape.places[0]
    most = max(1, height * slices // fewest_parts())
    fitting = (n for n in range(1, min(most, height) + 1) if _fits_l2(strip, shape.input_rows(n)))
    rows = max(fitting, default=1)
    rows = -(-height // -(-height // rows))
    return _Tiles(strip, rows, _outputs(shape.outputs, _most_sums() // (strip.slice // LANES)))


def _fits_l2(strip: Strip, rows: int) -> bool:
    return strip.bytes(rows) <= limits.NATIVE_STRIP_BYTES


def _strip(shape: ConvShape, slice: int) -> Strip:
    pairs = shape.dtype == "bfloat16"
    return Strip(
        "pairs" if pairs else "float32", shape.columns, -(-shape.channels // 2) if pairs else shape.channels, slice
    )


def _outputs(outputs: int, most: int) -> int:
    """The size of equal tiles of at most so many outputs that leaves least of the last one empty."""
    most = min(most, outputs)
    return min(range(most, most // 2, -1), key=lambda n: -(-outputs // n) * n)


def _write(module: ir.Module, shape: ConvShape, tiles: _Tiles, epilogue: Epilogue) -> tuple[int, int]:
    slices, height = shape.lanes // tiles.strip.slice, shape.places[0]
    c = kernel_code(module, arrays=4)
    x, weights, bias, y, scratch, part, slot = c.arguments
    size = -(-tiles.strip.bytes(shape.input_rows(tiles.rows)) // 64) * 16
    scratch = c.address(scratch, c.b.mul(slot, long(size)))
    slice, first = c.b.srem(part, long(slices)), c.b.mul(c.b.sdiv(part, long(slices)), long(tiles.rows))
    rows = c.least(c.b.sub(long(height), first), long(tiles.rows))
    (top, _), (left, _) = shape.geometry.padding
    source = StripSource(x, shape.channels, shape.size, shape.batch, top, left)
    step = shape.geometry.stride[0]
    input_rows = c.b.add(c.b.mul(rows, long(step)), long(shape.halo))
    fill(c, tiles.strip, scratch, source, (c.b.mul(first, long(step)), long(0), slice), input_rows)
    writer = _Writer(c, shape, tiles, epilogue)
    with c.loop(-(-shape.outputs // tiles.outputs)) as tile:
        begin = c.address(weights, c.b.mul(tile, long(shape.taps * tiles.strip.units * tiles.outputs)))
        output = c.b.mul(tile, long(tiles.outputs))
        with c.loop(rows) as row:
            place = c.b.add(first, row)
            taps = writer.taps(0, place)
            with c.loop(shape.places[1]) as column:
                sums = writer.begin(bias, output)
                writer.add(sums, scratch, begin, (row, column), (taps, writer.taps(1, column)))
                writer.end(sums, y, (output, place, column, slice))
    c.b.ret_void()
    return -(-height // tiles.rows) * slices, size


Sums = Sequence[Sequence[Value]]


@dataclass(frozen=True)
class _Writer:
    """The innermost part: one place of the result, for the outputs of a tile and a slice of the batch."""

    c: Code
    shape: ConvShape
    tiles: _Tiles
    epilogue: Epilogue

    @property
    def vectors(self) -> int:
        return self.tiles.strip.slice // LANES

    def begin(self, bias: Value, output: Value) -> Sums:
        sums = [[self.c.variable(vector(FLOAT)) for _ in range(self.vectors)] for _ in range(self.tiles.outputs)]
        for i, places in enumerate(sums):
            start = self.c.splat(self.c.load(bias, self.c.b.add(output, long(i)), FLOAT))
            for place in places:
                self.c.store(start, place)
        return sums

    def taps(self, axis: int, place: Value) -> Range:
        """Those that do not meet padding: of 7 x 7 pixels a fifth of 3 x 3 does, and 5 x 5 a third."""
        geometry = self.shape.geometry
        start = self.c.b.mul(place, long(geometry.stride[axis]))
        return inside(self.c, self.shape, axis, start, geometry.dilation[axis], self.shape.window[axis])

    def add(
        self, sums: Sums, scratch: Value, weights: Value, where: tuple[Value, Value], taps: tuple[Range, Range]
    ) -> None:
        """where: row and column of the strip."""
        c, strip, (down, across) = self.c, self.tiles.strip, self.shape.geometry.dilation
        row, column = (
            c.b.mul(place, long(step)) for place, step in zip(where, self.shape.geometry.stride, strict=True)
        )
        with c.loop(*reversed(taps[0])) as i, c.loop(*reversed(taps[1])) as j:
            pixel = strip.pixel(c, c.b.add(row, c.b.mul(i, long(down))), c.b.add(column, c.b.mul(j, long(across))))
            of_tap = c.b.mul(c.index(i, (j, self.shape.window[1])), long(strip.units * self.tiles.outputs))
            with c.loop(strip.units) as unit:
                start = c.b.add(pixel, c.b.mul(unit, long(strip.slice)))
                of_unit = c.b.add(of_tap, c.b.mul(unit, long(self.tiles.outputs)))
                of = vector(FLOAT if strip.form == "float32" else INT)
                pixels = [c.load(scratch, c.b.add(start, long(v * LANES)), of) for v in range(self.vectors)]
                for k, places in enumerate(sums):
                    weight = c.splat(c.load(weights, c.b.add(of_unit, long(k)), of.element))
                    for place, value in zip(places, pixels, strict=True):
                        c.store(multiply_add(c, value, weight, c.b.load(place, typ=vector(FLOAT))), place)

    def end(self, sums: Sums, y: Value, where: tuple[Value, Value, Value, Value]) -> None:
        c, (output, row, column, slice), (height, width) = self.c, where, self.shape.places
        parts = [c.index(slice, (v * LANES, self.tiles.strip.slice)) for v in range(self.vectors)]
        masks = [valid(c, self.shape.batch, part) for part in parts]
        for k, places in enumerate(sums):
            number = c.b.add(output, long(k))
            start = c.index(number, (row, height), (column, width), (0, self.shape.batch))
            whole = self.shape.outputs % self.tiles.outputs == 0
            with nullcontext() if whole else c.b.if_then(c.below(number, self.shape.outputs)):
                for place, part, mask in zip(places, parts, masks, strict=True):
                    self._store(c.b.load(place, typ=vector(FLOAT)), y, c.b.add(start, part), mask)

    def _store(self, value: Value, y: Value, start: Value, mask: Value | None) -> None:
        if self.epilogue.relu:
            value = self.c.call("llvm.maximum.v16f32", vector(FLOAT), [value, zeros(vector(FLOAT))])
        if self.epilogue.rounded:
            value = self.c.b.bitcast(self.c.b.fptrunc(value, vector(BFLOAT)), vector(HALF))
        if mask is None:
            self.c.store(value, y, start)
        else:
            self.c.store_lanes(value, y, start, mask)


def multiply_add(c: Code, a: Value, b: Value, total: Value) -> Value:
    """total + a * b, lane by lane; of bfloat16 the sum of two neighbouring products."""
    lanes = total.type.count
    if a.type.element == FLOAT:
        return c.call(f"llvm.fma.v{lanes}f32", total.type, [a, b, total])
    pairs = vector(BFLOAT, 2 * lanes)
    a, b = c.b.bitcast(a, pairs), c.b.bitcast(b, pairs)
    return c.call(f"llvm.x86.avx512bf16.dpbf16ps.{32 * lanes}", total.type, [total, a, b])
