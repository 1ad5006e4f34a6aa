"""Convolutions of stride 1 from patches of one row: a window's columns are gathered, its rows are summed behind.

Patches of kh x kw pixels hold every pixel kh * kw times, and writing and reading them is most of the time of a product
in bfloat16. Patches of 1 x kw pixels hold it kw times; one product with all kh rows of the kernel then gives kh images,
and their sum, each shifted by its row, is the result. The same holds for the gradient of the input. The gradient of
the kernel is a product of 1 x kw patches of `g` with kh x 1 patches of `x`.
"""

from __future__ import annotations

import math
from functools import partial

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import DTypeLike

from nets.kernels.cpu import limits
from nets.kernels.cpu.gemm import barrier, dot, row_major, stored
from nets.kernels.cpu.patches import gather_patches
from nets.kernels.cpu.problem import FLOAT, ConvProblem
from nets.kernels.footprint import Footprint
from nets.numerics.windows import NO_PADDING, Geometry, Pair

Saved = tuple[Array, Array]


def fits(problem: ConvProblem) -> bool:
    """Whether there are rows to sum, and channels enough for a product.

    In bfloat16: products cost half as much there, and what they read and write weighs twice.
    """
    if problem.machine.precision != "bfloat16" or not problem.geometry.dense or problem.geometry.groups > 1:
        return False
    return problem.window[0] > 1 and problem.depth >= limits.BANDS_FEWEST_CHANNELS


def footprint(problem: ConvProblem) -> Footprint:
    """The image is kept; patches of its columns, or the gradient's, and the product's bands come beside it."""
    (kh, kw), item = problem.window, problem.item
    wide = math.prod(map(max, problem.size, problem.places)) * problem.batch
    bands = wide * (problem.inputs + problem.outputs) * (kw * item + kh * (FLOAT + item))
    return Footprint(problem.image_values * item, problem.ends + bands)


@partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def by_bands(x: Array, kernel: Array, geometry: Geometry, dtype: DTypeLike, materialise: bool = True) -> Array:
    """`[in, H, W, B] * [kh, kw, in, out] -> [out, H', W', B]`, stride 1, one group.

    materialise: whether the result is in memory, not left open to be summed in the same pass as what follows.
    """
    return _forward(x, kernel, geometry, dtype, materialise)[0]


def _forward(x: Array, kernel: Array, geometry: Geometry, dtype: DTypeLike, materialise: bool) -> tuple[Array, Saved]:
    x = barrier(x.astype(dtype))
    y = _banded(_column_patches(x, kernel, geometry), kernel, geometry, dtype, x.shape)
    return barrier(y) if materialise else y, (x, kernel)


def _backward(geometry: Geometry, dtype: DTypeLike, materialise: bool, saved: Saved, g: Array) -> tuple[Array, Array]:
    x, kernel = saved
    kh, kw, inputs, outputs = kernel.shape
    (top, bottom), (left, right) = geometry.padding
    back = Geometry(padding=((kh - 1 - top, kh - 1 - bottom), (kw - 1 - left, kw - 1 - right)))
    turned = turn(kernel)
    columns = _column_patches(barrier(g.astype(dtype)), turned, back)
    rows = gather_patches(x, (kh, 1), Geometry(padding=(geometry.padding[0], (0, 0))))[0]
    kernel_gradient = dot(columns, rows, 1, 1).reshape(kw, outputs, kh, inputs)
    x_gradient = stored(_banded(columns, turned, back, dtype, g.shape), dtype)
    return x_gradient, kernel_gradient[::-1].transpose(2, 0, 3, 1)


by_bands.defvjp(_forward, _backward)


def turn(kernel: Array) -> Array:
    """The kernel of the opposite direction: turned by 180 degrees, inputs and outputs exchanged."""
    return kernel[::-1, ::-1].swapaxes(2, 3)


def _column_patches(x: Array, kernel: Array, geometry: Geometry) -> Array:
    """`[kw * in, H * W' * B]`."""
    return gather_patches(x, (1, kernel.shape[1]), Geometry(padding=(NO_PADDING[0], geometry.padding[1])))[0]


def _banded(columns: Array, kernel: Array, geometry: Geometry, dtype: DTypeLike, shape: tuple[int, ...]) -> Array:
    """The sum over the rows of `kernel` of its product with the patches of an image of `shape`."""
    kh, kw, depth, outputs = kernel.shape
    places: Pair = geometry.places(shape[1:3], (kh, kw))
    matrix = row_major(kernel.transpose(0, 3, 1, 2).reshape(kh * outputs, kw * depth).astype(dtype))
    bands = barrier(dot(matrix, columns, 1, 0)).reshape(kh, outputs, shape[1], places[1] * shape[3])
    total = jnp.zeros((), jnp.float32)
    for i in range(kh):
        above = geometry.padding[0][0] - i
        edges = ((0, 0, 0), (above, places[0] - shape[1] - above, 0), (0, 0, 0))
        total = total + lax.pad(bands[i], jnp.zeros((), jnp.float32), edges)
    return total.reshape(outputs, *places, shape[3])
