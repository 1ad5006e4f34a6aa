"""Max pooling that remembers which value it took, so that its gradient needs neither the values nor a scatter."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import DTypeLike

from nets.kernels.cpu.corners import Corners, Form, channel_sums, corners, form, kept, largest, per_channel, spread
from nets.kernels.cpu.gemm import barrier
from nets.kernels.cpu.patches import spread_edges
from nets.kernels.geometry import Geometry
from nets.kernels.plan import Pair

DEAD = 4


def max_pool(x: Array, window: Pair, at: Geometry, size: Pair) -> Array:
    """`[channels, H, W, B] -> [channels, H', W', B]`, any window, stride and padding. size: (H, W).

    A large window goes over the columns first, then over the rows: kh + kw comparisons instead of kh * kw, and the
    first of equal values in reading order still wins.
    """
    if min(window) == 1 or window == (2, 2):
        return _max_pool(x, window, at, size)
    across = Geometry((1, at.stride[1]), ((0, 0), at.padding[1]))
    down = Geometry((at.stride[0], 1), (at.padding[0], (0, 0)))
    x = _max_pool(x, (1, window[1]), across, size)
    return _max_pool(x, (window[0], 1), down, (size[0], x.shape[2]))


@partial(jax.custom_vjp, nondiff_argnums=(1, 2, 3))
def _max_pool(x: Array, window: Pair, at: Geometry, size: Pair) -> Array:
    return _pool_forward(x, window, at, size)[0]


def _pool_forward(x: Array, window: Pair, at: Geometry, size: Pair) -> tuple[Array, Array]:
    out_h, out_w = at.places(size, window)
    edges = ((0, 0, 0), (*at.padding[0], 0), (*at.padding[1], 0), (0, 0, 0))
    x = barrier(lax.pad(x, jnp.array(-jnp.inf, x.dtype), edges) if at.padding != ((0, 0), (0, 0)) else x)
    (sh, sw), taps = at.stride, [(i, j) for i in range(window[0]) for j in range(window[1])]
    seen = [x[:, i : i + (out_h - 1) * sh + 1 : sh, j : j + (out_w - 1) * sw + 1 : sw] for i, j in taps]
    value = seen[0]
    for other in seen[1:]:
        value = jnp.maximum(value, other)
    # From the last to the first, so that the first of equal values wins, as in every other framework.
    which = jnp.full(value.shape, len(taps) - 1, jnp.int32)
    for tap in reversed(range(len(taps) - 1)):
        which = jnp.where(seen[tap] == value, tap, which)
    kept: tuple[Array, Array] = barrier((value, which.astype(jnp.int8 if len(taps) < 128 else jnp.int32)))
    return kept


def _pool_backward(window: Pair, at: Geometry, size: Pair, which: Array, g: Array) -> tuple[Array]:
    channels, out_h, out_w, batch = g.shape
    total = jnp.zeros((channels, *size, batch), g.dtype)
    for i in range(window[0]):
        for j in range(window[1]):
            taken = jnp.where(which == i * window[1] + j, g, 0)
            rows = spread_edges(i, size[0], out_h, at, axis=0)
            columns = spread_edges(j, size[1], out_w, at, axis=1)
            total = total + lax.pad(taken, jnp.zeros((), g.dtype), ((0, 0, 0), rows, columns, (0, 0, 0)))
    return (barrier(total),)


_max_pool.defvjp(_pool_forward, _pool_backward)


def relu_pool(z: Corners, bias: Array | None, dtype: DTypeLike) -> Array:
    """relu(z + bias), then the largest of every 2 x 2 window: bias and relu at the pooled size.

    The gradient keeps one byte per window: which corner it was, or that the relu was dead.
    """
    channels = corners(z)[0].shape[0]
    return _relu_pool(z, jnp.zeros(channels) if bias is None else bias, form(z), dtype)


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _relu_pool(z: Corners, bias: Array, back: Form, dtype: DTypeLike) -> Array:
    return _relu_pool_forward(z, bias, back, dtype)[0]


def _relu_pool_forward(z: Corners, bias: Array, back: Form, dtype: DTypeLike) -> tuple[Array, Array]:
    value, which = largest(corners(kept(z)))
    y = jax.nn.relu(value + per_channel(bias))
    y, which = barrier((y.astype(dtype), jnp.where(y > 0, which, DEAD).astype(jnp.int8)))
    return y.astype(jnp.float32), which


def _relu_pool_backward(back: Form, dtype: DTypeLike, which: Array, g: Array) -> tuple[Corners, Array]:
    g = barrier(g)
    return spread(g, which, back), channel_sums(jnp.where(which < DEAD, g, 0))


_relu_pool.defvjp(_relu_pool_forward, _relu_pool_backward)
