"""Convolutions of a stride as dense ones: the pixels between two places become channels of one.

The kernel shrinks by the stride, with zeros where it is no multiple of it. Its patches then hold every pixel so many
times less, its gradients need no values spread out, and whatever makes dense convolutions cheap serves it too.
"""

from __future__ import annotations

import math
from functools import partial

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import DTypeLike

from nets.kernels.cpu.gemm import barrier
from nets.kernels.cpu.layouts import framed
from nets.kernels.cpu.patches import phases_of_stride
from nets.kernels.cpu.winograd import Blocks, Four
from nets.kernels.plan import Pair
from nets.numerics.windows import Geometry, Sizes

# With fewer channels the rows of its product are few either way; mostly a first layer, whose image has no gradient.
SMALLEST_DEPTH = 4
# 3 x 3 weights of stride 2 would be 4 x 4, seven of them zeros: more products than it saves elsewhere.
MOST_FILLED_UP = 1.5
# Bytes of float32 patches up to which it is faster to keep the stride and leave the zeros out, 1.2 to 2.5 times as fast
# where no transform saves more. Larger ones leave the caches; bfloat16 has bands for the dense form.
SMALL = {"float32": 24 << 20, "bfloat16": 10 << 20}


def fits(kernel_shape: tuple[int, ...], at: Geometry) -> bool:
    """Whether there is a stride in both directions, and the zeros in the kernel are few."""
    if min(at.stride) == 1 or at.dilation != (1, 1) or at.groups > 1 or kernel_shape[2] < SMALLEST_DEPTH:
        return False
    dense = _dense_window(kernel_shape, at)
    filled = math.prod(taps * stride for taps, stride in zip(dense, at.stride, strict=True))
    return filled <= MOST_FILLED_UP * math.prod(kernel_shape[:2])


def stays(kernel_shape: tuple[int, ...], at: Geometry, dtype: DTypeLike, size: Sizes, batch: int) -> bool:
    """Whether patches of the image as it is are fewer than those of the dense one, and few enough."""
    window, depth = kernel_shape[:2], kernel_shape[2]
    if not any(taps % stride for taps, stride in zip(window, at.stride, strict=True)):
        return False
    return math.prod((*window, depth, *at.places(size, window), batch)) * 4 <= SMALL[jnp.dtype(dtype).name]


def dense_kernel(kernel: Array, at: Geometry) -> Array:
    """`[kh, kw, in, out]` -> `[kh / sh, kw / sw, sh * sw * in, out]`, rounded up: to be used with stride 1."""
    kh, kw, inputs, outputs = kernel.shape
    (sh, sw), (rows, columns) = at.stride, _dense_window(kernel.shape, at)
    kernel = jnp.pad(kernel, ((0, rows * sh - kh), (0, columns * sw - kw), (0, 0), (0, 0)))
    kernel = kernel.reshape(rows, sh, columns, sw, inputs, outputs).transpose(0, 2, 1, 3, 4, 5)
    return kernel.reshape(rows, columns, -1, outputs)


def dense_size(size: Sizes, window: Sizes, at: Geometry) -> Pair:
    """Height and width of the dense image that an image of `size` becomes."""
    (out_h, out_w), (rows, columns) = at.places(size, window), _dense_window(window, at)
    return out_h + rows - 1, out_w + columns - 1


def dense_image(x: Array, window: Sizes, at: Geometry) -> Array:
    """`[in, H, W, B]` -> `[sh * sw * in, H', W', B]`, which needs no padding."""
    x = phases_of_stride(x, at, dense_size(x.shape[1:3], window, at))
    return x.reshape(-1, *x.shape[3:])


def dense_phases(x: Array, window: Sizes, at: Geometry) -> Four:
    """The dense image by even and odd rows and columns, in one pass; zeros behind what is odd."""
    height, width = dense_size(x.shape[1:3], window, at)
    return _phases(x, at, (-(-height // 2), -(-width // 2)), x.shape[1:3])


@partial(jax.custom_vjp, nondiff_argnums=(1, 2, 3))
def _phases(x: Array, at: Geometry, half: Pair, size: Pair) -> Four:
    """half, size: height and width of a phase and of `x`."""
    return _phases_forward(x, at, half, size)[0]


def _phases_forward(x: Array, at: Geometry, half: Pair, size: Pair) -> tuple[Four, None]:
    (sh, sw), (rows, columns) = at.stride, half
    x = barrier(framed(x, *_edges(at, half, size)))
    apart = x.reshape(x.shape[0], rows, 2, sh, columns, 2, sw, x.shape[3]).transpose(2, 5, 3, 6, 0, 1, 4, 7)
    return tuple(barrier(apart[i, j]).reshape(-1, rows, columns, x.shape[3]) for i in (0, 1) for j in (0, 1)), None


def _phases_backward(at: Geometry, half: Pair, size: Pair, _: None, g: Four) -> tuple[Array]:
    (sh, sw), (rows, columns), batch = at.stride, half, g[0].shape[3]
    apart = jnp.stack(g).reshape(2, 2, sh, sw, -1, rows, columns, batch)
    whole = apart.transpose(4, 5, 0, 2, 6, 1, 3, 7).reshape(-1, rows * 2 * sh, columns * 2 * sw, batch)
    (top, bottom), (left, right) = _edges(at, half, size)
    return (barrier(framed(whole, (-top, -bottom), (-left, -right))),)


_phases.defvjp(_phases_forward, _phases_backward)


def _edges(at: Geometry, half: Pair, size: Pair) -> tuple[Pair, Pair]:
    """The padding that makes `size` whole tiles of two places; a negative one where pixels are left over."""
    rows, columns = (
        (at.padding[axis][0], 2 * at.stride[axis] * half[axis] - size[axis] - at.padding[axis][0]) for axis in (0, 1)
    )
    return rows, columns


def blocks(window: Sizes, at: Geometry) -> Blocks:
    """The channels of the dense image by row and column of the stride; only the first have no zeros in the kernel."""
    full = [
        taps - (rows - 1) * stride
        for taps, rows, stride in zip(window, _dense_window(window, at), at.stride, strict=False)
    ]
    return Blocks(at.stride, (full[0], full[1]))


def _dense_window(window: Sizes, at: Geometry) -> Pair:
    """Height and width of the dense kernel."""
    return -(-window[0] // at.stride[0]), -(-window[1] // at.stride[1])
