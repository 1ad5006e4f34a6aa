"""Any convolution one row of results at a time: where patches of a whole image would be too much to make or to keep."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import DTypeLike

from nets.kernels.cpu import limits
from nets.kernels.cpu.gemm import barrier, dot, row_major
from nets.kernels.cpu.layouts import zero_pad
from nets.kernels.cpu.patches import gather_patches, sum_patches
from nets.kernels.cpu.problem import FLOAT, ConvProblem
from nets.kernels.footprint import Footprint
from nets.numerics.windows import Geometry, Pair, Sizes

Saved = tuple[Array, Array]


def fits(problem: ConvProblem) -> bool:
    """Whether the patches of all rows are too much to keep."""
    return problem.patch_values * problem.item > limits.ROWS_LARGE_PATCHES


def footprint(problem: ConvProblem) -> Footprint:
    """The image is kept; the patches of one row, of the image and of its gradient, come beside it."""
    working = problem.ends + 3 * problem.padded_values * FLOAT + 3 * problem.row_values * FLOAT
    return Footprint(problem.image_values * problem.item, working)


@partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def by_rows(x: Array, kernel: Array, geometry: Geometry, dtype: DTypeLike, size: Pair) -> Array:
    """`[in, H, W, B] * [kh, kw, in / groups, out] -> [out, H', W', B]`; patches are made again for the gradient."""
    return _forward(x, kernel, geometry, dtype, size)[0]


def _forward(x: Array, kernel: Array, geometry: Geometry, dtype: DTypeLike, size: Pair) -> tuple[Array, Saved]:
    outputs, batch = kernel.shape[3], x.shape[3]
    rows, columns = geometry.places(size, kernel.shape[:2])
    geometry = geometry.tight(size, kernel.shape[:2])
    x = x.astype(dtype)
    padded, matrices = barrier(zero_pad(x, *geometry.padding)), _matrices(kernel, geometry.groups).astype(dtype)
    matrices = row_major(matrices.swapaxes(1, 2))

    def step(row: Array, y: Array) -> Array:
        patches = _patches(padded, row, kernel.shape[:2], geometry)
        return lax.dynamic_update_slice(y, _product(matrices, patches, 1, 0).reshape(outputs, 1, -1), (0, row, 0))

    y = lax.fori_loop(0, rows, step, jnp.zeros((outputs, rows, columns * batch)))
    return y.reshape(outputs, rows, columns, batch), (x, kernel)


def _backward(geometry: Geometry, dtype: DTypeLike, size: Pair, saved: Saved, g: Array) -> tuple[Array, Array]:
    x, kernel = saved
    window, (kh, kw, depth, outputs) = kernel.shape[:2], kernel.shape
    geometry = geometry.tight(size, window)
    padded, matrices = (
        barrier(zero_pad(x, *geometry.padding)),
        row_major(_matrices(kernel, geometry.groups).astype(dtype)),
    )
    g = barrier(g.astype(dtype)).reshape(outputs, g.shape[1], -1)
    band, across = (padded.shape[0], _reach(window, geometry), *padded.shape[2:]), _of_a_row(geometry)

    def step(row: Array, gradients: Saved) -> Saved:
        dx, dw = gradients
        patches = _patches(padded, row, window, geometry)
        of_row = barrier(lax.dynamic_slice_in_dim(g, row, 1, 1)).reshape(
            geometry.groups, outputs // geometry.groups, -1
        )
        of_pixels = sum_patches(barrier(_product(matrices, of_row, 1, 0)), window, across, band)
        start = (0, row * geometry.stride[0], 0, 0)
        dx = lax.dynamic_update_slice(dx, lax.dynamic_slice(dx, start, band) + of_pixels, start)
        return dx, dw + _product(patches, of_row, 1, 1)

    nothing = jnp.zeros(padded.shape), jnp.zeros(matrices.shape)
    dx, dw = lax.fori_loop(0, g.shape[1], step, nothing)
    (top, bottom), (left, right) = geometry.padding
    dw = dw.reshape(geometry.groups, kh, kw, depth, -1).transpose(1, 2, 3, 0, 4).reshape(kernel.shape)
    return zero_pad(dx, (-top, -bottom), (-left, -right)), dw


by_rows.defvjp(_forward, _backward)


def _matrices(kernel: Array, groups: int) -> Array:
    """`[groups, kh * kw * depth, out / groups]`."""
    return kernel.reshape(-1, groups, kernel.shape[3] // groups).transpose(1, 0, 2)


def _product(a: Array, b: Array, axis_a: int, axis_b: int) -> Array:
    """Group by group; of a single one as a product of matrices, not of a batch of them."""
    return dot(a[0], b[0], axis_a, axis_b)[None] if a.shape[0] == 1 else dot(a, b, axis_a, axis_b)


def _reach(window: Sizes, geometry: Geometry) -> int:
    """How many rows of pixels the results of one row see."""
    return geometry.dilation[0] * (window[0] - 1) + 1


def _of_a_row(geometry: Geometry) -> Geometry:
    """What the window does on the rows that it sees at a time, which have their padding around them."""
    return Geometry((1, geometry.stride[1]), dilation=geometry.dilation, groups=geometry.groups)


def _patches(padded: Array, row: Array, window: Sizes, geometry: Geometry) -> Array:
    """`[groups, kh * kw * depth, W' * B]`: what the results of one row see."""
    band = lax.dynamic_slice_in_dim(padded, row * geometry.stride[0], _reach(window, geometry), 1)
    return gather_patches(band, window, _of_a_row(geometry))
