"""Convolutions of every channel by itself: the columns of a row of results are written out, each a sum in a register.

A part is one channel. Where a column meets padding is known when the code is written, so nothing is tested for it, and
no image is padded. The gradient of the image is the same sum over the places that a pixel was seen from; that of the
kernel goes over all places once for each row of taps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
from jax import Array
from llvmlite import ir

from nets.kernels.cpu import limits
from nets.kernels.cpu.gemm import barrier, row_major
from nets.kernels.cpu.native import compiler
from nets.kernels.cpu.native.call import compiled, kernel_code
from nets.kernels.cpu.native.forward import multiply_add
from nets.kernels.cpu.native.llvm_ir import FLOAT, LANES, Code, Value, long, vector, zeros
from nets.kernels.cpu.native.strips import valid
from nets.kernels.cpu.problem import FLOAT as BYTES
from nets.kernels.cpu.problem import ConvProblem
from nets.kernels.footprint import Footprint
from nets.numerics.windows import Geometry, Pair

SUMS_OF_A_TAP = 4  # of the kernel's gradient: each addition waits for the one before it, four cycles
Saved = tuple[Array, Array]


def fits(problem: ConvProblem) -> bool:
    """One channel in every group, rows of results short enough to be written out; a batch that fills vectors."""
    wide = max(problem.places[1], problem.size[1]) * problem.window[1]
    alone = problem.depth == 1 and problem.geometry.groups > 1
    return alone and problem.machine.native_for(problem.batch) and wide <= limits.NATIVE_MOST_WRITTEN_OUT


def footprint(problem: ConvProblem) -> Footprint:
    """The image is kept."""
    return Footprint(problem.image_values * BYTES, problem.ends)


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def channelwise(x: Array, kernel: Array, geometry: Geometry) -> Array:
    """`[channels, H, W, B] * [kh, kw, 1, outputs] -> [outputs, H', W', B]`, so many outputs of each channel."""
    return _forward(x, kernel, geometry)[0]


def _forward(x: Array, kernel: Array, geometry: Geometry) -> tuple[Array, Saved]:
    x, shape = barrier(x), _shape(x, kernel, geometry)
    return _image(x, kernel, shape, back=False), (x, kernel)


def _backward(geometry: Geometry, saved: Saved, g: Array) -> tuple[Array, Array]:
    (x, kernel), g = saved, barrier(g)
    shape = _shape(x, kernel, geometry)
    return _image(g, kernel, shape, back=True), _kernel_gradient(x, g, shape).reshape(kernel.shape)


channelwise.defvjp(_forward, _backward)


@dataclass(frozen=True)
class _Shape:
    """multiplier: results of each channel."""

    channels: int
    multiplier: int
    size: Pair
    batch: int
    window: Pair
    geometry: Geometry

    @property
    def places(self) -> Pair:
        return self.geometry.places(self.size, self.window)

    @property
    def vectors(self) -> int:
        """Of a pixel."""
        return -(-self.batch // LANES)

    def __str__(self) -> str:
        """For the name of a kernel."""
        at = self.geometry
        values = (self.channels, self.multiplier, *self.size, self.batch, *self.window, *sum(at.padding, ()))
        return "_".join(map(str, (*values, *at.dilation, *at.stride))).replace("-", "m")


def _shape(x: Array, kernel: Array, geometry: Geometry) -> _Shape:
    channels, height, width, batch = x.shape
    kh, kw, _, outputs = kernel.shape
    return _Shape(channels, outputs // channels, (height, width), batch, (kh, kw), geometry)


def _image(x: Array, kernel: Array, shape: _Shape, *, back: bool) -> Array:
    """The convolution; back: what it hands back to the pixels of its image, given the gradient `x`."""
    outputs = shape.channels * shape.multiplier
    made = (shape.channels, *shape.size) if back else (outputs, *shape.places)
    name = f"channelwise_{'back' if back else 'image'}_{shape}"
    build = partial(_write_image, shape=shape, back=back)
    weights = row_major(kernel.reshape(-1, outputs).T)
    result = jax.ShapeDtypeStruct((*made, shape.batch), jnp.float32)
    return compiled(name, build, inputs=2, outputs=1)([result], x, weights)[0]


def _kernel_gradient(x: Array, g: Array, shape: _Shape) -> Array:
    """`[taps, outputs]`."""
    outputs, taps = shape.channels * shape.multiplier, shape.window[0] * shape.window[1]
    kernel = compiled(f"channelwise_kernel_{shape}", partial(_write_kernel, shape=shape), inputs=2, outputs=1)
    return kernel([jax.ShapeDtypeStruct((outputs, taps), jnp.float32)], x, g)[0].T


def _seen(shape: _Shape, axis: int, place: int, *, back: bool) -> Iterator[Pair]:
    """The taps of a place on an axis, each with what it meets there."""
    at, (low, _) = shape.geometry, shape.geometry.padding[axis]
    step, apart = at.stride[axis], at.dilation[axis]
    for tap in range(shape.window[axis]):
        if back:
            met, rest = divmod(place + low - tap * apart, step)
            if not rest and 0 <= met < shape.places[axis]:
                yield tap, met
        elif 0 <= (met := place * step + tap * apart - low) < shape.size[axis]:
            yield tap, met


@contextmanager
def _met_row(c: Code, shape: _Shape, row: Value, tap: Value, *, back: bool) -> Iterator[Value]:
    """What a row of taps meets; what is within is left out where that is nothing."""
    at, b, low = shape.geometry, c.b, shape.geometry.padding[0][0]
    step, apart, side = at.stride[0], at.dilation[0], shape.places[0] if back else shape.size[0]
    reach = b.mul(tap, long(apart))
    if back:
        distance = b.sub(b.add(row, long(low)), reach)
        met = distance if step == 1 else b.sdiv(distance, long(step))
        there = b.and_(b.icmp_signed(">=", distance, long(0)), c.below(met, side))
        if step > 1:
            there = b.and_(there, b.icmp_signed("==", b.mul(met, long(step)), distance))
    else:
        met = b.sub(b.add(b.mul(row, long(step)), reach), long(low))
        there = b.and_(b.icmp_signed(">=", met, long(0)), c.below(met, side))
    with b.if_then(there):
        yield met


def _columns_at_a_time(shape: _Shape, width: int) -> int:
    """As many sums as fit into registers beside a row of weights, in equal blocks."""
    vectors = compiler.vectors()
    most = max(2, vectors.registers * vectors.lanes // LANES - shape.window[1] - 4)
    return -(-width // -(-width // most))


def _vector_at(c: Code, shape: _Shape, memory: Value, first: Value) -> tuple[Value, Value | None]:
    """Where the vector `first` of pixels begins, and which of its lanes there are."""
    lane = c.b.mul(first, long(LANES))
    return c.address(memory, lane), valid(c, shape.batch, lane)


def _load(c: Code, memory: Value, offset: Value, mask: Value | None) -> Value:
    of = vector(FLOAT)
    return c.load(memory, offset, of) if mask is None else c.load_lanes(memory, offset, of, mask)


def _store(c: Code, value: Value, memory: Value, offset: Value, mask: Value | None) -> None:
    if mask is None:
        c.store(value, memory, offset)
    else:
        c.store_lanes(value, memory, offset, mask)


def _write_image(module: ir.Module, *, shape: _Shape, back: bool) -> tuple[int, int]:
    c = kernel_code(module, arrays=3)
    x, weights, y, _, part, _ = c.arguments
    height, width = shape.size if back else shape.places
    block = _columns_at_a_time(shape, width)
    with c.loop(height) as row, c.loop(shape.vectors) as first:
        source, mask = _vector_at(c, shape, x, first)
        target, _ = _vector_at(c, shape, y, first)
        for start in range(0, width, block):
            columns = range(start, min(start + block, width))
            sums = [c.variable(vector(FLOAT)) for _ in columns]
            for place in sums:
                c.store(zeros(vector(FLOAT)), place)
            with c.loop(shape.multiplier if back else 1) as number, c.loop(shape.window[0]) as tap:
                output = c.index(part, (number, shape.multiplier)) if back else part
                channel = output if back or shape.multiplier == 1 else c.b.sdiv(part, long(shape.multiplier))
                with _met_row(c, shape, row, tap, back=back) as met:
                    sides = shape.places if back else shape.size
                    line = c.index(channel, (met, sides[0]), (0, sides[1]), (0, shape.batch))
                    of_row = c.address(weights, c.index(output, (tap, shape.window[0]), (0, shape.window[1])))
                    _add_columns(c, shape, (source, line, mask), of_row, columns, sums, back=back)
            for column, place in zip(columns, sums, strict=True):
                at = c.index(part, (row, height), (column, width), (0, shape.batch))
                _store(c, c.b.load(place, typ=vector(FLOAT)), target, at, mask)
    c.b.ret_void()
    return shape.channels * (1 if back else shape.multiplier), 0


def _add_columns(
    c: Code,
    shape: _Shape,
    source: tuple[Value, Value, Value | None],
    weights: Value,
    columns: range,
    sums: Sequence[Value],
    *,
    back: bool,
) -> None:
    """One row of taps: every pixel is loaded once, for all sums that it goes into."""
    memory, line, mask = source
    factors = [c.splat(c.load(weights, tap, FLOAT)) for tap in range(shape.window[1])]
    users: dict[int, list[tuple[Value, Value]]] = {}
    for column, place in zip(columns, sums, strict=True):
        for tap, met in _seen(shape, 1, column, back=back):
            users.setdefault(met, []).append((factors[tap], place))
    for met, uses in sorted(users.items()):
        pixel = _load(c, memory, c.b.add(line, long(met * shape.batch)), mask)
        for factor, place in uses:
            c.store(multiply_add(c, pixel, factor, c.b.load(place, typ=vector(FLOAT))), place)


def _write_kernel(module: ir.Module, *, shape: _Shape) -> tuple[int, int]:
    c = kernel_code(module, arrays=3)
    x, g, result, _, part, _ = c.arguments
    of, (rows, width) = vector(FLOAT), shape.places
    channel = part if shape.multiplier == 1 else c.b.sdiv(part, long(shape.multiplier))
    with c.loop(shape.window[0]) as tap:
        sums = [[c.variable(of) for _ in range(SUMS_OF_A_TAP)] for _ in range(shape.window[1])]
        for place in (place for each in sums for place in each):
            c.store(zeros(of), place)
        with c.loop(rows) as row, _met_row(c, shape, row, tap, back=False) as met, c.loop(shape.vectors) as first:
            source, mask = _vector_at(c, shape, x, first)
            gradient, _ = _vector_at(c, shape, g, first)
            line = c.index(channel, (met, shape.size[0]), (0, shape.size[1]), (0, shape.batch))
            of_row = c.index(part, (row, rows), (0, width), (0, shape.batch))
            for column in range(width):
                value = _load(c, gradient, c.b.add(of_row, long(column * shape.batch)), mask)
                for j, pixel in _seen(shape, 1, column, back=False):
                    place = sums[j][column % SUMS_OF_A_TAP]
                    seen = _load(c, source, c.b.add(line, long(pixel * shape.batch)), mask)
                    c.store(multiply_add(c, seen, value, c.b.load(place, typ=of)), place)
        for j, each in enumerate(sums):
            total = c.b.load(each[0], typ=of)
            for place in each[1:]:
                total = c.b.fadd(total, c.b.load(place, typ=of))
            c.store(c.sum(total), result, c.index(part, (tap, shape.window[0]), (j, shape.window[1])))
    c.b.ret_void()
    return shape.channels * shape.multiplier, 0
