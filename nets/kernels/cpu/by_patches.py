"""Any convolution as one product of matrices: the kernel times the patches of the image. Chellapilla et al., 2006."""

from __future__ import annotations

from functools import partial

import jax
from jax import Array
from jax.typing import DTypeLike

from nets.kernels.cpu.gemm import barrier, dot, row_major, stored
from nets.kernels.cpu.patches import gather_patches, sum_patches
from nets.kernels.cpu.problem import FLOAT, ConvProblem
from nets.kernels.footprint import Footprint
from nets.numerics.windows import Geometry, Pair

Saved = tuple[Array, Array]


def fits(problem: ConvProblem) -> bool:
    """Any."""
    return True


def footprint(problem: ConvProblem) -> Footprint:
    """Patches are kept; their gradient, and its sums along rows, come beside them."""
    patches, (kh, _) = problem.patch_values, problem.window
    row_sums = kh * problem.inputs * problem.places[0] * problem.size[1] * problem.batch
    working = problem.ends + (patches + row_sums) * FLOAT + problem.padded_values * FLOAT
    return Footprint(patches * problem.item, working)


@partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def by_patches(x: Array, kernel: Array, geometry: Geometry, dtype: DTypeLike, size: Pair) -> Array:
    """Any convolution: the kernel times the patches of `x`, group by group; the patches are kept for the gradient.

    size: height and width of `x`, which the gradient cannot tell from the patches.
    """
    return _patches_forward(x, kernel, geometry, dtype, size)[0]


def _patches_forward(x: Array, kernel: Array, geometry: Geometry, dtype: DTypeLike, size: Pair) -> tuple[Array, Saved]:
    window = kernel.shape[:2]
    patches = gather_patches(x.astype(dtype), window, geometry)
    y = dot(row_major(_matrices(kernel, geometry.groups).swapaxes(-1, -2).astype(dtype)), _single(patches), 1, 0)
    return y.reshape(kernel.shape[3], *geometry.places(size, window), x.shape[3]), (patches, kernel)


def _patches_backward(geometry: Geometry, dtype: DTypeLike, size: Pair, saved: Saved, g: Array) -> tuple[Array, Array]:
    patches, kernel = saved
    kh, kw, depth, outputs = kernel.shape
    shape = (depth * geometry.groups, *size, g.shape[3])
    g = _single(barrier(g.astype(dtype)).reshape(geometry.groups, outputs // geometry.groups, -1))
    kernel_gradient = dot(_single(patches), g, 1, 1).reshape(geometry.groups, kh, kw, depth, -1)
    patch_gradient = barrier(dot(row_major(_matrices(kernel, geometry.groups).astype(dtype)), g, 1, 0))
    x_gradient = sum_patches(patch_gradient, (kh, kw), geometry, shape)
    return stored(x_gradient, dtype), kernel_gradient.transpose(1, 2, 3, 0, 4).reshape(kernel.shape)


by_patches.defvjp(_patches_forward, _patches_backward)


def _matrices(kernel: Array, groups: int) -> Array:
    """Each group's kernel as a matrix, `[groups, kh * kw * depth, out / groups]`; no first axis for a single group."""
    kh, kw, depth, outputs = kernel.shape
    return _single(kernel.reshape(kh * kw * depth, groups, outputs // groups).transpose(1, 0, 2))


def _single(matrices: Array) -> Array:
    return matrices[0] if matrices.shape[0] == 1 else matrices
