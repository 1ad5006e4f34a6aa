"""Convolutions of every channel by itself: weighted sums of shifted images; there is no product of matrices in them.

Their gradient is a custom one: automatic differentiation would keep every shifted image, one for each tap.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
from jax import Array, lax

from nets.kernels.cpu.gemm import barrier
from nets.kernels.cpu.layouts import zero_pad
from nets.kernels.cpu.pool_windows import channel_sums, per_channel
from nets.kernels.cpu.problem import FLOAT, ConvProblem
from nets.kernels.footprint import Footprint
from nets.numerics import im2col
from nets.numerics.windows import Geometry

Saved = tuple[Array, Array]


def fits(problem: ConvProblem) -> bool:
    """One channel and one result in every group."""
    return problem.depth == 1 and problem.geometry.groups == problem.outputs > 1


def footprint(problem: ConvProblem) -> Footprint:
    """The padded image is kept; its gradient comes beside it."""
    padded = problem.padded_values * FLOAT
    return Footprint(padded, problem.ends + 2 * padded)


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def depthwise(x: Array, kernel: Array, geometry: Geometry) -> Array:
    """`[channels, H, W, B] * [kh, kw, 1, channels] -> [channels, H', W', B]`."""
    return _forward(x, kernel, geometry)[0]


def _forward(x: Array, kernel: Array, geometry: Geometry) -> tuple[Array, Saved]:
    x = barrier(zero_pad(x, *geometry.padding))
    total = jnp.zeros((), x.dtype)
    for weight, tap in zip(_weights(kernel), im2col.slices(x, kernel.shape[:2], geometry), strict=True):
        total = total + per_channel(weight) * tap
    return total, (x, kernel)


def _backward(geometry: Geometry, saved: Saved, g: Array) -> tuple[Array, Array]:
    """Tap by tap: what each saw, for its weight, and what it hands back to the pixels that it saw."""
    x, kernel = saved
    (kh, kw), (sh, sw), weights, g = kernel.shape[:2], geometry.stride, _weights(kernel), barrier(g)
    reach = x.shape[0], (g.shape[1] - 1) * sh + 1, (g.shape[2] - 1) * sw + 1, x.shape[3]
    interior = (0, 0, 0), (0, 0, sh - 1), (0, 0, sw - 1), (0, 0, 0)

    def step(tap: Array, gradients: Saved) -> Saved:
        dx, dw = gradients
        start = 0, tap // kw * geometry.dilation[0], tap % kw * geometry.dilation[1], 0
        of_weights = channel_sums((g * lax.dynamic_slice(x, start, reach)[:, ::sh, ::sw],))
        given = lax.pad(g * per_channel(weights[tap]), jnp.zeros((), g.dtype), interior)
        dx = lax.dynamic_update_slice(dx, lax.dynamic_slice(dx, start, reach) + given, start)
        return dx, dw.at[tap].set(of_weights)

    dx, dw = lax.fori_loop(0, kh * kw, step, (jnp.zeros_like(x), jnp.zeros_like(weights)))
    (top, bottom), (left, right) = geometry.padding
    return zero_pad(dx, (-top, -bottom), (-left, -right)), dw.reshape(kernel.shape)


depthwise.defvjp(_forward, _backward)


def _weights(kernel: Array) -> Array:
    """`[taps, channels]`."""
    return kernel.reshape(-1, kernel.shape[3])
