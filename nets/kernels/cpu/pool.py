"""Max pooling that remembers which value it took, so that its gradient needs neither the values nor a scatter."""

from __future__ import annotations

from functools import partial, reduce

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import DTypeLike

from nets.kernels.cpu.gemm import barrier
from nets.kernels.cpu.pool_windows import (
    Corners,
    WindowForm,
    channel_sums,
    corners,
    form,
    largest,
    materialised,
    per_channel,
    unpool_windows,
)
from nets.numerics import im2col, pooling
from nets.numerics.windows import Geometry, Pair

DEAD = 4  # in place of a corner's number: the relu gave zero


def max_pool(x: Array, window: Pair, geometry: Geometry) -> Array:
    """`[channels, H, W, B] -> [channels, H', W', B]`, any window, stride and padding."""
    for part, along in pooling.passes(window, geometry):
        x = _max_pool(x, part, along, (x.shape[1], x.shape[2]))
    return x


@partial(jax.custom_vjp, nondiff_argnums=(1, 2, 3))
def _max_pool(x: Array, window: Pair, geometry: Geometry, size: Pair) -> Array:
    return _pool_forward(x, window, geometry, size)[0]


def _pool_forward(x: Array, window: Pair, geometry: Geometry, size: Pair) -> tuple[Array, Array]:
    taps = list(im2col.slices(barrier(pooling.pad_lowest(x, geometry)), window, geometry))
    value = reduce(jnp.maximum, taps)
    # From the last to the first, so that the first of equal values wins, as in every other framework. Equality is
    # safe behind the barrier, and no comparison waits for the one before it.
    which = jnp.full(value.shape, len(taps) - 1, jnp.int32)
    for tap in reversed(range(len(taps) - 1)):
        which = jnp.where(taps[tap] == value, tap, which)
    result: tuple[Array, Array] = barrier((value, which.astype(pooling.index_dtype(window))))
    return result


def _pool_backward(window: Pair, geometry: Geometry, size: Pair, which: Array, g: Array) -> tuple[Array]:
    return (barrier(pooling.unpool(which, g, window, geometry, size)),)


_max_pool.defvjp(_pool_forward, _pool_backward)


def relu_pool(z: Corners, bias: Array | None, dtype: DTypeLike) -> Array:
    """relu(z + bias), then the largest of every 2 x 2 window: bias and relu at the pooled size.

    The gradient keeps one byte per window: which corner it was, or that the relu was dead.
    """
    channels = corners(z)[0].shape[0]
    return _relu_pool(z, jnp.zeros(channels) if bias is None else bias, form(z), dtype)


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _relu_pool(z: Corners, bias: Array, back: WindowForm, dtype: DTypeLike) -> Array:
    return _relu_pool_forward(z, bias, back, dtype)[0]


def _relu_pool_forward(z: Corners, bias: Array, back: WindowForm, dtype: DTypeLike) -> tuple[Array, Array]:
    value, which = largest(corners(materialised(z)))
    y = jax.nn.relu(value + per_channel(bias))
    y, which = barrier((y.astype(dtype), jnp.where(y > 0, which, DEAD).astype(jnp.int8)))
    return y.astype(jnp.float32), which


def _relu_pool_backward(back: WindowForm, dtype: DTypeLike, which: Array, g: Array) -> tuple[Corners, Array]:
    g = barrier(g)
    return unpool_windows(g, which, back), channel_sums(jnp.where(which < DEAD, g, 0))


_relu_pool.defvjp(_relu_pool_forward, _relu_pool_backward)
