"""1 x 1 convolutions: the pixels that one sees are its patches, and nothing has to be gathered."""

from __future__ import annotations

from functools import partial

import jax
from jax import Array
from jax.typing import DTypeLike

from nets.kernels.cpu.gemm import barrier, dot, row_major
from nets.kernels.cpu.layouts import zero_pad
from nets.kernels.cpu.problem import ConvProblem
from nets.kernels.footprint import Footprint
from nets.numerics.windows import NO_PADDING, Geometry

Saved = tuple[Array, Array]


def fits(problem: ConvProblem) -> bool:
    """Windows of one pixel, one group."""
    return problem.window == (1, 1) and problem.geometry.groups == 1


def footprint(problem: ConvProblem) -> Footprint:
    """The image is kept."""
    return Footprint(problem.padded_values * problem.item, problem.ends)


def pointwise(x: Array, kernel: Array, geometry: Geometry, dtype: DTypeLike) -> Array:
    """`[in, H, W, B] * [1, 1, in, out] -> [out, H', W', B]`."""
    if geometry.padding != NO_PADDING:
        x = zero_pad(x, *geometry.padding)
    x = x[:, :: geometry.stride[0], :: geometry.stride[1]]
    return _mix_channels(x, kernel[0, 0], dtype)


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def _mix_channels(x: Array, kernel: Array, dtype: DTypeLike) -> Array:
    return _mix_forward(x, kernel, dtype)[0]


def _mix_forward(x: Array, kernel: Array, dtype: DTypeLike) -> tuple[Array, Saved]:
    x = barrier(x.astype(dtype))
    y = dot(row_major(kernel.T.astype(dtype)), x.reshape(x.shape[0], -1), 1, 0)
    return y.reshape(-1, *x.shape[1:]), (x, kernel)


def _mix_backward(dtype: DTypeLike, saved: Saved, g: Array) -> tuple[Array, Array]:
    x, kernel = saved
    g = barrier(g.astype(dtype)).reshape(g.shape[0], -1)
    x_gradient = barrier(dot(row_major(kernel.astype(dtype)), g, 1, 0)).reshape(x.shape)
    return x_gradient, dot(x.reshape(x.shape[0], -1), g, 1, 1)


_mix_channels.defvjp(_mix_forward, _mix_backward)
