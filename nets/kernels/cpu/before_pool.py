"""A first convolution with a 2 x 2 pool behind it, as one convolution of stride 2 with four times the outputs.

With one to three input channels a plain product has so few rows that memory sets its pace. Here the four places of a
pooling window are the rows of one larger product, over patches of which there are four times fewer.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import DTypeLike

from nets.kernels.cpu import limits
from nets.kernels.cpu.gemm import barrier, dot, row_major
from nets.kernels.cpu.patches import gather_patches, sum_patches
from nets.kernels.cpu.problem import FLOAT, ConvProblem
from nets.kernels.footprint import Footprint
from nets.numerics.windows import Geometry, Pair

DOES = "one convolution of stride 2 with four outputs for each, one for every place of a window"  # for readers


def fits(problem: ConvProblem) -> bool:
    """Whether the channels are few, and no native kernel computes them in less time."""
    if problem.machine.native_for(problem.batch) or problem.geometry.groups > 1 or not problem.geometry.dense:
        return False
    return problem.depth <= limits.BEFORE_POOL_MOST_CHANNELS


def footprint(problem: ConvProblem) -> Footprint:
    """Patches of the larger window are kept; products of all of them, and their gradient, come beside them."""
    (kh, kw), (height, width) = problem.window, problem.places
    patches = (kh + 1) * (kw + 1) * problem.inputs * -(-height // 2) * -(-width // 2) * problem.batch
    return Footprint(patches * problem.item, patches * FLOAT * 2)


@partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def convolve(x: Array, kernel: Array, geometry: Geometry, dtype: DTypeLike, size: Pair) -> Array:
    """`[in, H, W, B] * [kh, kw, in, out] -> [4, out, H' // 2, W' // 2, B]`, stride 1. size: (H, W)."""
    return _forward(x, kernel, geometry, dtype, size)[0]


def _forward(
    x: Array, kernel: Array, geometry: Geometry, dtype: DTypeLike, size: Pair
) -> tuple[Array, tuple[Array, Array]]:
    window, by_two = _widened(kernel, geometry)
    patches = gather_patches(x.astype(dtype), window, by_two)[0]
    z = barrier(dot(row_major(_four_kernels(kernel).T.astype(dtype)), patches, 1, 0))
    return z.reshape(4, kernel.shape[3], *by_two.places(size, window), x.shape[3]), (patches, kernel)


def _backward(
    geometry: Geometry, dtype: DTypeLike, size: Pair, saved: tuple[Array, Array], g: Array
) -> tuple[Array, Array]:
    patches, kernel = saved
    window, by_two = _widened(kernel, geometry)
    g = barrier(g.astype(dtype)).reshape(-1, patches.shape[1])
    kernels, kernel_gradient = jax.vjp(_four_kernels, kernel)
    patch_gradient = barrier(dot(row_major(kernels.astype(dtype)), g, 1, 0))
    shape = (kernel.shape[2], *size, patches.shape[1] // _area(by_two.places(size, window)))
    return sum_patches(patch_gradient, window, by_two, shape), kernel_gradient(dot(g, patches, 1, 1).T)[0]


convolve.defvjp(_forward, _backward)


def _widened(kernel: Array, geometry: Geometry) -> tuple[Pair, Geometry]:
    return (kernel.shape[0] + 1, kernel.shape[1] + 1), Geometry(stride=(2, 2), padding=geometry.padding)


def _four_kernels(kernel: Array) -> Array:
    """The kernel at the four corners of a window larger by one: `[(kh + 1) * (kw + 1) * in, 4 * out]`."""
    at_corners = [jnp.pad(kernel, ((i, 1 - i), (j, 1 - j), (0, 0), (0, 0))) for i in (0, 1) for j in (0, 1)]
    return jnp.stack(at_corners, 3).reshape(-1, 4 * kernel.shape[3])


def _area(size: Pair) -> int:
    return size[0] * size[1]
