"""Convolutions of `[channels, height, width, batch]` images as matrix products, with their own gradients."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import DTypeLike

from nets.kernels.cpu import bands, blocks, by_rows, toom_cook
from nets.kernels.cpu.depthwise import depthwise
from nets.kernels.cpu.gemm import barrier, dot, pinned, stored
from nets.kernels.cpu.layouts import framed
from nets.kernels.cpu.patches import gather_patches, sum_patches
from nets.kernels.plan import Pair
from nets.numerics.windows import Geometry

Saved = tuple[Array, Array]


def convolve(x: Array, kernel: Array, at: Geometry, dtype: DTypeLike, *, kept: bool = True) -> Array:
    """`[in, H, W, B] * [kh, kw, in / groups, out] -> [out, H', W', B]` by whichever product suits the sizes.

    kept: whether the sum of bands is put in memory (see `by_bands`).
    """
    kh, kw, depth, _ = kernel.shape
    if (kh, kw) == (1, 1) and at.groups == 1:
        return pointwise(x, kernel, at, dtype)
    size = x.shape[1], x.shape[2]
    if depth == 1 and at.groups == kernel.shape[3] > 1:
        return depthwise(x, kernel, at)
    if dtype == jnp.bfloat16 and bands.fits(kernel.shape, at):
        return bands.by_bands(x, kernel, at, dtype, kept)
    if dtype == jnp.float32 and toom_cook.fits(kernel.shape, at, size):
        return toom_cook.toom_cook(x, kernel, at)
    if dtype == jnp.float32 and blocks.fits(kernel.shape, at, size, x.shape[3]):
        return blocks.by_blocks(x, kernel, at, dtype)
    if by_rows.fits(kernel.shape, at, size, x.shape[3], dtype):
        return by_rows.by_rows(x, kernel, at, dtype, size)
    return by_patches(x, kernel, at, dtype, size)


@partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def by_patches(x: Array, kernel: Array, at: Geometry, dtype: DTypeLike, size: Pair) -> Array:
    """Any convolution: the kernel times the patches of `x`, group by group; the patches are kept for the gradient.

    size: height and width of `x`, which the gradient cannot tell from the patches.
    """
    return _patches_forward(x, kernel, at, dtype, size)[0]


def _patches_forward(x: Array, kernel: Array, at: Geometry, dtype: DTypeLike, size: Pair) -> tuple[Array, Saved]:
    window = kernel.shape[:2]
    patches = gather_patches(x.astype(dtype), window, at)
    y = dot(pinned(_matrices(kernel, at.groups).swapaxes(-1, -2).astype(dtype)), _single(patches), 1, 0)
    return y.reshape(kernel.shape[3], *at.places(size, window), x.shape[3]), (patches, kernel)


def _patches_backward(at: Geometry, dtype: DTypeLike, size: Pair, saved: Saved, g: Array) -> tuple[Array, Array]:
    patches, kernel = saved
    kh, kw, depth, outputs = kernel.shape
    shape = (depth * at.groups, *size, g.shape[3])
    g = _single(barrier(g.astype(dtype)).reshape(at.groups, outputs // at.groups, -1))
    kernel_gradient = dot(_single(patches), g, 1, 1).reshape(at.groups, kh, kw, depth, -1)
    patch_gradient = barrier(dot(pinned(_matrices(kernel, at.groups).astype(dtype)), g, 1, 0))
    x_gradient = sum_patches(patch_gradient, (kh, kw), at, shape)
    return stored(x_gradient, dtype), kernel_gradient.transpose(1, 2, 3, 0, 4).reshape(kernel.shape)


by_patches.defvjp(_patches_forward, _patches_backward)


def _matrices(kernel: Array, groups: int) -> Array:
    """Each group's kernel as a matrix, `[groups, kh * kw * depth, out / groups]`; no first axis for a single group."""
    kh, kw, depth, outputs = kernel.shape
    return _single(kernel.reshape(kh * kw * depth, groups, outputs // groups).transpose(1, 0, 2))


def _single(matrices: Array) -> Array:
    return matrices[0] if matrices.shape[0] == 1 else matrices


def pointwise(x: Array, kernel: Array, at: Geometry, dtype: DTypeLike) -> Array:
    """A 1 x 1 convolution: the pixels that it sees are its patches."""
    if at.padding != ((0, 0), (0, 0)):
        x = framed(x, *at.padding)
    x = x[:, :: at.stride[0], :: at.stride[1]]
    return _mix_channels(x, kernel[0, 0], dtype)


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def _mix_channels(x: Array, kernel: Array, dtype: DTypeLike) -> Array:
    return _mix_forward(x, kernel, dtype)[0]


def _mix_forward(x: Array, kernel: Array, dtype: DTypeLike) -> tuple[Array, Saved]:
    x = barrier(x.astype(dtype))
    y = dot(pinned(kernel.T.astype(dtype)), x.reshape(x.shape[0], -1), 1, 0)
    return y.reshape(-1, *x.shape[1:]), (x, kernel)


def _mix_backward(dtype: DTypeLike, saved: Saved, g: Array) -> tuple[Array, Array]:
    x, kernel = saved
    g = barrier(g.astype(dtype)).reshape(g.shape[0], -1)
    x_gradient = barrier(dot(pinned(kernel.astype(dtype)), g, 1, 0)).reshape(x.shape)
    return x_gradient, dot(x.reshape(x.shape[0], -1), g, 1, 1)


_mix_channels.defvjp(_mix_forward, _mix_backward)
