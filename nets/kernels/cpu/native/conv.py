"""Convolutions of `[channels, height, width, batch]` images by native kernels, with their gradients."""

from __future__ import annotations

from functools import partial
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.custom_derivatives import SymbolicZero
from jax.typing import DTypeLike

from nets.kernels.cpu import limits
from nets.kernels.cpu.gemm import barrier
from nets.kernels.cpu.machine import product_unit
from nets.kernels.cpu.native import compiler
from nets.kernels.cpu.native.forward import Epilogue, convolve
from nets.kernels.cpu.native.kernel_gradient import kernel_gradient, values_of_parts
from nets.kernels.cpu.native.strips import ConvShape, Dtype
from nets.kernels.cpu.pool_windows import channel_sums
from nets.kernels.cpu.problem import FLOAT, ConvProblem
from nets.kernels.footprint import Footprint
from nets.numerics.windows import Geometry, Pair

Saved = tuple[Array, Array, Array | None]
Wanted = tuple[()] | None
Primal = Any  # jax.custom_derivatives.CustomVJPPrimal, which is not public by name


def available(precision: str) -> bool:
    """Whether this processor has vectors of the precision, and in bfloat16 nothing else that multiplies faster."""
    if precision == "float32":
        return compiler.multiplies()
    return "avx512bf16" in compiler.features() and product_unit() != "amx"


def fits(problem: ConvProblem) -> bool:
    """One group; no dilation where there is a stride, and few offsets in it; a batch that fills vectors."""
    geometry = problem.geometry
    if not problem.machine.native_for(problem.batch) or geometry.groups > 1:
        return False
    return 1 in (max(geometry.stride), max(geometry.dilation)) and prod(geometry.stride) <= limits.NATIVE_MOST_OFFSETS


def footprint(problem: ConvProblem) -> Footprint:
    """The image is kept; its gradient (by itself for each offset in a stride) and sums of the kernel come beside it."""
    dtype: Dtype = "float32" if problem.machine.precision == "float32" else "bfloat16"
    shape = ConvShape(
        problem.inputs, problem.size, problem.batch, problem.outputs, problem.window, problem.geometry, dtype
    )
    images = 3 if prod(problem.geometry.stride) > 1 else 1
    values = images * problem.image_values + 2 * problem.result_values + 4 * prod(problem.kernel)
    return Footprint(problem.image_values * problem.item, (values + values_of_parts(shape)) * FLOAT)


def native_convolve(x: Array, kernel: Array, geometry: Geometry, dtype: DTypeLike) -> Array:
    """`[in, H, W, B] * [kh, kw, in, out] -> [out, H', W', B]`; the gradient has none of its own."""
    return _convolve(x, kernel, None, geometry, dtype, False)


def native_relu(x: Array, kernel: Array, bias: Array | None, geometry: Geometry, dtype: DTypeLike) -> Array:
    """relu(x * kernel + bias), rounded to `dtype`; its gradient needs no more than that of the sum."""
    return _convolve(x, kernel, jnp.zeros(kernel.shape[3]) if bias is None else bias, geometry, dtype, True)


@partial(jax.custom_vjp, nondiff_argnums=(3, 4, 5))
def _convolve(x: Array, kernel: Array, bias: Array | None, geometry: Geometry, dtype: DTypeLike, relu: bool) -> Array:
    return _forward(x, kernel, bias, geometry, dtype, relu)[0]


def _forward(
    x: Array, kernel: Array, bias: Array | None, geometry: Geometry, dtype: DTypeLike, relu: bool
) -> tuple[Array, Saved]:
    x = barrier(x.astype(dtype))
    y = convolve(x, kernel, bias, _shape(x, kernel, geometry), Epilogue(relu, rounded=relu and x.dtype == jnp.bfloat16))
    return y.astype(jnp.float32), (x, kernel, y if relu else None)


def _save(
    x: Primal, kernel: Primal, bias: Primal | None, geometry: Geometry, dtype: DTypeLike, relu: bool
) -> tuple[Array, tuple[Saved, Wanted]]:
    """Whether the image's gradient is wanted (not in a first layer) is kept in the structure of what is saved."""
    y, saved = _forward(x.value, kernel.value, None if bias is None else bias.value, geometry, dtype, relu)
    return y, (saved, () if x.perturbed else None)


def _backward(
    geometry: Geometry, dtype: DTypeLike, relu: bool, saved: tuple[Saved, Wanted], g: Array
) -> tuple[Array, Array, Array | None]:
    (x, kernel, y), wanted = saved
    if isinstance(g, SymbolicZero):
        g = jnp.zeros(g.shape)
    if y is not None:
        g = jnp.where(y > 0, g, 0)
    g = barrier(g.astype(dtype))
    return (
        jnp.zeros(x.shape) if wanted is None else _image_gradient(g, kernel, x.shape, geometry),
        kernel_gradient(x, g, _shape(x, kernel, geometry)),
        None if y is None else channel_sums((g.astype(jnp.float32),)),
    )


_convolve.defvjp(_save, _backward, symbolic_zeros=True)


def _image_gradient(g: Array, kernel: Array, shape: tuple[int, ...], geometry: Geometry) -> Array:
    """`g` convolved with the turned kernel: for every offset in the stride with its own taps."""
    (sh, sw), (channels, height, width, batch) = geometry.stride, shape
    parts = [_offset_gradient(g, kernel, (height, width), geometry, (i, j)) for i in range(sh) for j in range(sw)]
    if len(parts) == 1:
        return parts[0].astype(jnp.float32)
    rows, columns = parts[0].shape[1:3]
    grid = jnp.stack(parts).reshape(sh, sw, channels, rows, columns, batch).transpose(2, 3, 0, 4, 1, 5)
    whole = barrier(grid.reshape(channels, rows * sh, columns * sw, batch)[:, :height, :width])
    return whole.astype(jnp.float32)


def _offset_gradient(g: Array, kernel: Array, size: Pair, geometry: Geometry, offset: Pair) -> Array:
    """Of the pixels `offset`, `offset + stride`, ... of an image of `size`, as many at each offset."""
    edges = []
    for axis, (first, step, (low, _)) in enumerate(zip(offset, geometry.stride, geometry.padding, strict=True)):
        before, tap = divmod(low + first, step)
        kernel = kernel[(slice(None),) * axis + (slice(tap, None, step),)]
        reach = (kernel.shape[axis] - 1) * geometry.dilation[axis]
        edges.append((reach - before, -(-size[axis] // step) - g.shape[1 + axis] + before))
    if 0 in kernel.shape:  # a stride longer than the kernel passes over them
        return jnp.zeros(
            (kernel.shape[2], *(-(-n // step) for n, step in zip(size, geometry.stride, strict=True)), g.shape[3]),
            g.dtype,
        )
    turned, back = kernel[::-1, ::-1].swapaxes(2, 3), Geometry(padding=(edges[0], edges[1]), dilation=geometry.dilation)
    return convolve(g, turned, None, _shape(g, turned, back), Epilogue(rounded=g.dtype == jnp.bfloat16))


def _shape(x: Array, kernel: Array, geometry: Geometry) -> ConvShape:
    channels, height, width, batch = x.shape
    kh, kw, _, outputs = kernel.shape
    if x.dtype not in (jnp.float32, jnp.bfloat16):
        raise TypeError(f"these kernels multiply float32 or bfloat16, not {x.dtype}")
    dtype: Dtype = "float32" if x.dtype == jnp.float32 else "bfloat16"
    return ConvShape(channels, (height, width), batch, outputs, (kh, kw), geometry, dtype)
