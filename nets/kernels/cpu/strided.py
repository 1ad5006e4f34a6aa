"""Convolutions of a stride as dense ones: the pixels between two places become channels of one.

The kernel shrinks by the stride, with zeros where it is no multiple of it. Its patches then hold every pixel so many
times less, its gradients need no values spread out, and whatever makes dense convolutions cheap serves it too.
"""

from __future__ import annotations

import math

import jax.numpy as jnp
from jax import Array

from nets.kernels.cpu.patches import phases_of_stride
from nets.kernels.geometry import Geometry, Sizes
from nets.kernels.plan import Pair

# With fewer channels the rows of its product are few either way; mostly a first layer, whose image has no gradient.
SMALLEST_DEPTH = 4
# 3 x 3 weights of stride 2 would be 4 x 4, seven of them zeros: more products than it saves elsewhere.
MOST_FILLED_UP = 1.5


def fits(kernel_shape: tuple[int, ...], at: Geometry) -> bool:
    """Whether there is a stride in both directions, and the zeros in the kernel are few."""
    if min(at.stride) == 1 or at.dilation != (1, 1) or at.groups > 1 or kernel_shape[2] < SMALLEST_DEPTH:
        return False
    dense = _dense_window(kernel_shape, at)
    filled = math.prod(taps * stride for taps, stride in zip(dense, at.stride, strict=True))
    return filled <= MOST_FILLED_UP * math.prod(kernel_shape[:2])


def as_dense(x: Array, kernel: Array, at: Geometry) -> tuple[Array, Array]:
    """An image `[sh * sw * in, H, W, B]` and a kernel that give the same with stride 1 and no padding."""
    kh, kw, inputs, outputs = kernel.shape
    (sh, sw), (rows, columns) = at.stride, _dense_window(kernel.shape, at)
    out_h, out_w = at.places(x.shape[1:3], (kh, kw))
    x = phases_of_stride(x, at, (out_h + rows - 1, out_w + columns - 1))
    kernel = jnp.pad(kernel, ((0, rows * sh - kh), (0, columns * sw - kw), (0, 0), (0, 0)))
    kernel = kernel.reshape(rows, sh, columns, sw, inputs, outputs).transpose(0, 2, 1, 3, 4, 5)
    return x.reshape(-1, *x.shape[3:]), kernel.reshape(rows, columns, -1, outputs)


def filled(window: Sizes, at: Geometry) -> tuple[Pair, Pair]:
    """How many rows and columns of the stride there are, and how many of them have weights in the last row and column.

    The channels of the dense image are so many blocks; the zeros in the kernel are what the others have there.
    """
    full = [
        taps - (rows - 1) * stride
        for taps, rows, stride in zip(window, _dense_window(window, at), at.stride, strict=False)
    ]
    return at.stride, (full[0], full[1])


def _dense_window(window: Sizes, at: Geometry) -> Pair:
    """Height and width of the dense kernel."""
    return -(-window[0] // at.stride[0]), -(-window[1] // at.stride[1])
