"""Convolutions of stride 1 one row at a time, so that the patches of a large image never leave the caches."""

from __future__ import annotations

import math
from functools import partial

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import DTypeLike

from nets.kernels.cpu import limits
from nets.kernels.cpu.bands import turn
from nets.kernels.cpu.gemm import barrier, dot, row_major
from nets.kernels.cpu.layouts import zero_pad
from nets.kernels.cpu.patches import gather_windows
from nets.kernels.cpu.problem import FLOAT, ConvProblem
from nets.kernels.footprint import Footprint
from nets.numerics.windows import Geometry, Sizes

Saved = tuple[Array, Array]


def fits(problem: ConvProblem) -> bool:
    """Whether all patches of the image would fall out of the caches; in float32."""
    if problem.machine.precision != "float32" or not problem.geometry.dense or problem.geometry.groups > 1:
        return False
    many = math.prod(problem.window) >= limits.BLOCKS_MANY_TAPS
    large = limits.BLOCKS_LARGE_PATCHES_OF_MANY_TAPS if many else limits.BLOCKS_LARGE_PATCHES
    return problem.depth >= limits.BLOCKS_FEWEST_CHANNELS and problem.patch_values * FLOAT > large


def footprint(problem: ConvProblem) -> Footprint:
    """The image is kept; the patches of one row come beside it."""
    working = problem.ends + 2 * problem.padded_values * FLOAT + 2 * problem.row_values * FLOAT
    return Footprint(problem.image_values * problem.item, working)


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def by_blocks(x: Array, kernel: Array, geometry: Geometry, dtype: DTypeLike) -> Array:
    """`[in, H, W, B] * [kh, kw, in, out] -> [out, H', W', B]`, stride 1, one group.

    Patches of `g`, row by row, serve both gradients; none are kept.
    """
    return _forward(x, kernel, geometry, dtype)[0]


def _forward(x: Array, kernel: Array, geometry: Geometry, dtype: DTypeLike) -> tuple[Array, Saved]:
    kh, kw, _, outputs = kernel.shape
    x, places, batch = x.astype(dtype), geometry.places(x.shape[1:3], (kh, kw)), x.shape[3]
    matrix, padded = _matrix(kernel, dtype), barrier(zero_pad(x, *geometry.padding))

    def step(row: Array, y: Array) -> Array:
        product = dot(matrix, _patches_of_row(padded, row, (kh, kw), places[1]), 1, 0)
        return lax.dynamic_update_slice(y, product[:, None], (0, row, 0))

    y = lax.fori_loop(0, places[0], step, jnp.zeros((outputs, places[0], places[1] * batch)))
    return y.reshape(outputs, *places, batch), (x, kernel)


def _backward(geometry: Geometry, dtype: DTypeLike, saved: Saved, g: Array) -> tuple[Array, Array]:
    x, kernel = saved
    kh, kw, inputs, outputs = kernel.shape
    _, height, width, batch = x.shape
    (top, bottom), (left, right) = geometry.padding
    back = Geometry(padding=((kh - 1 - top, kh - 1 - bottom), (kw - 1 - left, kw - 1 - right)))
    matrix, padded = _matrix(turn(kernel), dtype), barrier(zero_pad(g.astype(dtype), *back.padding))
    pixels = barrier(x).reshape(inputs, height, width * batch)

    def step(row: Array, gradients: tuple[Array, Array]) -> tuple[Array, Array]:
        dx, dw = gradients
        patches = _patches_of_row(padded, row, (kh, kw), width)
        pixels_of_row = barrier(lax.dynamic_index_in_dim(pixels, row, 1, keepdims=False))
        dx = lax.dynamic_update_slice(dx, dot(matrix, patches, 1, 0)[:, None], (0, row, 0))
        return dx, dw + dot(patches, pixels_of_row, 1, 1)

    nothing = jnp.zeros(pixels.shape), jnp.zeros((kh * kw * outputs, inputs))
    dx, dw = lax.fori_loop(0, height, step, nothing)
    return dx.reshape(x.shape), turn(dw.reshape(kh, kw, outputs, inputs))


by_blocks.defvjp(_forward, _backward)


def _matrix(kernel: Array, dtype: DTypeLike) -> Array:
    return row_major(kernel.reshape(-1, kernel.shape[3]).T.astype(dtype))


def _patches_of_row(padded: Array, row: Array, window: Sizes, columns: int) -> Array:
    """`[kh * kw * channels, columns * B]`: what the outputs of one row see."""
    return gather_windows(padded, row, [(i, j) for i in range(window[0]) for j in range(window[1])], (1, columns))
