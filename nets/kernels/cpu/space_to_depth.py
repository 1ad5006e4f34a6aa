"""Convolutions of a stride as dense ones by space-to-depth: the pixels between two places become channels of one.

The kernel shrinks by the stride, with zeros where it is no multiple of it. Patches then hold every pixel less often,
gradients need no zeros between their values, and whatever makes dense convolutions cheap serves strided ones too.
"""

from __future__ import annotations

import math
from functools import partial

import jax
import jax.numpy as jnp
from jax import Array

from nets.kernels.cpu import limits, toom_cook, winograd
from nets.kernels.cpu.gemm import barrier
from nets.kernels.cpu.layouts import zero_pad
from nets.kernels.cpu.patches import space_to_depth
from nets.kernels.cpu.problem import FLOAT, ConvProblem
from nets.kernels.cpu.winograd import ChannelGrid, Four
from nets.kernels.footprint import Footprint
from nets.numerics.windows import Geometry, Pair, Sizes


def possible(problem: ConvProblem) -> bool:
    """Whether there is a stride in both directions, and the zeros in the dense kernel are few."""
    geometry, few = problem.geometry, problem.depth < limits.SPACE_TO_DEPTH_FEWEST_CHANNELS
    if min(geometry.stride) == 1 or geometry.dilation != (1, 1) or geometry.groups > 1 or few:
        return False
    rows, columns = _dense_window(problem.window, geometry)
    weights = rows * geometry.stride[0] * columns * geometry.stride[1]
    return weights <= limits.SPACE_TO_DEPTH_MOST_WEIGHTS * math.prod(problem.window)


def dense(problem: ConvProblem) -> ConvProblem:
    """The convolution of stride 1 that gives the same result."""
    geometry, (rows, columns) = problem.geometry, _dense_window(problem.window, problem.geometry)
    kernel = rows, columns, problem.inputs * math.prod(geometry.stride), problem.outputs
    size = dense_size(problem.size, problem.window, geometry)
    return ConvProblem(kernel, Geometry(), size, problem.batch, problem.machine)


def fits_winograd(problem: ConvProblem) -> bool:
    """Whether the dense form is one for Winograd's transforms."""
    return possible(problem) and winograd.fits(dense(problem))


def fits(problem: ConvProblem) -> bool:
    """Whether the dense form is faster than patches of the image as it is."""
    return possible(problem) and (toom_cook.fits(dense(problem)) or not _has_few_patches(problem))


def _has_few_patches(problem: ConvProblem) -> bool:
    """Whether patches of the image as it is are fewer than those of the dense one, and few enough."""
    if not any(taps % stride for taps, stride in zip(problem.window, problem.geometry.stride, strict=True)):
        return False
    return problem.patch_values * FLOAT <= limits.SPACE_TO_DEPTH_SMALL_PATCHES[problem.machine.precision]


def footprint(problem: ConvProblem, of_dense: Footprint) -> Footprint:
    """The dense image is kept as well, and made from the padded one."""
    moved = dense(problem).image_values
    working = 3 * max(moved, problem.padded_values) * FLOAT
    return Footprint(of_dense.kept + moved * problem.item, of_dense.working + working)


def dense_kernel(kernel: Array, geometry: Geometry) -> Array:
    """`[kh, kw, in, out]` -> `[kh / sh, kw / sw, sh * sw * in, out]`, rounded up: to be used with stride 1."""
    kh, kw, inputs, outputs = kernel.shape
    (sh, sw), (rows, columns) = geometry.stride, _dense_window(kernel.shape, geometry)
    kernel = jnp.pad(kernel, ((0, rows * sh - kh), (0, columns * sw - kw), (0, 0), (0, 0)))
    kernel = kernel.reshape(rows, sh, columns, sw, inputs, outputs).transpose(0, 2, 1, 3, 4, 5)
    return kernel.reshape(rows, columns, -1, outputs)


def dense_size(size: Sizes, window: Sizes, geometry: Geometry) -> Pair:
    """Height and width of the dense image that an image of `size` becomes."""
    (out_h, out_w), (rows, columns) = geometry.places(size, window), _dense_window(window, geometry)
    return out_h + rows - 1, out_w + columns - 1


def dense_image(x: Array, window: Sizes, geometry: Geometry) -> Array:
    """`[in, H, W, B]` -> `[sh * sw * in, H', W', B]`, which needs no padding."""
    x = space_to_depth(x, geometry, dense_size(x.shape[1:3], window, geometry))
    return x.reshape(-1, *x.shape[3:])


def dense_phases(x: Array, window: Sizes, geometry: Geometry) -> Four:
    """The dense image by even and odd rows and columns, in one pass; zeros behind what is odd."""
    height, width = dense_size(x.shape[1:3], window, geometry)
    return _phases(x, geometry, (-(-height // 2), -(-width // 2)), x.shape[1:3])


@partial(jax.custom_vjp, nondiff_argnums=(1, 2, 3))
def _phases(x: Array, geometry: Geometry, half: Pair, size: Pair) -> Four:
    """half, size: height and width of a phase and of `x`."""
    return _phases_forward(x, geometry, half, size)[0]


def _phases_forward(x: Array, geometry: Geometry, half: Pair, size: Pair) -> tuple[Four, None]:
    (sh, sw), (rows, columns) = geometry.stride, half
    x = barrier(zero_pad(x, *_edges(geometry, half, size)))
    apart = x.reshape(x.shape[0], rows, 2, sh, columns, 2, sw, x.shape[3]).transpose(2, 5, 3, 6, 0, 1, 4, 7)
    return tuple(barrier(apart[i, j]).reshape(-1, rows, columns, x.shape[3]) for i in (0, 1) for j in (0, 1)), None


def _phases_backward(geometry: Geometry, half: Pair, size: Pair, _: None, g: Four) -> tuple[Array]:
    (sh, sw), (rows, columns), batch = geometry.stride, half, g[0].shape[3]
    apart = jnp.stack(g).reshape(2, 2, sh, sw, -1, rows, columns, batch)
    whole = apart.transpose(4, 5, 0, 2, 6, 1, 3, 7).reshape(-1, rows * 2 * sh, columns * 2 * sw, batch)
    (top, bottom), (left, right) = _edges(geometry, half, size)
    return (barrier(zero_pad(whole, (-top, -bottom), (-left, -right))),)


_phases.defvjp(_phases_forward, _phases_backward)


def _edges(geometry: Geometry, half: Pair, size: Pair) -> tuple[Pair, Pair]:
    """The padding that makes `size` whole tiles of two places; a negative one where pixels are left over."""
    rows, columns = (
        (geometry.padding[axis][0], 2 * geometry.stride[axis] * half[axis] - size[axis] - geometry.padding[axis][0])
        for axis in (0, 1)
    )
    return rows, columns


def grid(problem: ConvProblem) -> ChannelGrid:
    """The channels of the dense image by row and column of the stride; only the first have no zeros in the kernel."""
    (kh, kw), (sh, sw), (rows, columns) = (
        problem.window,
        problem.geometry.stride,
        _dense_window(problem.window, problem.geometry),
    )
    return ChannelGrid((sh, sw), (kh - (rows - 1) * sh, kw - (columns - 1) * sw))


def _dense_window(window: Sizes, geometry: Geometry) -> Pair:
    """Height and width of the dense kernel."""
    return -(-window[0] // geometry.stride[0]), -(-window[1] // geometry.stride[1])
