"""Max pooling that remembers which value it took: its gradient needs no search. Images are `[_, H, W, _]`."""

from __future__ import annotations

import math
from functools import partial

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import DTypeLike

from nets.numerics import im2col
from nets.numerics.windows import NO_PADDING, Geometry, Pair


def max_pool(x: Array, window: Pair, geometry: Geometry) -> Array:
    """`[B, H, W, channels] -> [B, H', W', channels]`, any window, stride and padding.

    XLA's own gradient is a select-and-scatter: it looks for the largest values again, and a GPU that is asked for
    repeatable sums can only sort for it.
    """
    for part, along in passes(window, geometry):
        x = _max_pool(x, part, along, (x.shape[1], x.shape[2]))
    return x


def passes(window: Pair, geometry: Geometry) -> tuple[tuple[Pair, Geometry], ...]:
    """A large window goes over the columns first, then over the rows: kh + kw comparisons instead of kh * kw.

    The first of equal values in reading order still wins.
    """
    if min(window) == 1 or window == (2, 2):
        return ((window, geometry),)
    return ((1, window[1]), geometry.across), ((window[0], 1), geometry.down)


@partial(jax.custom_vjp, nondiff_argnums=(1, 2, 3))
def _max_pool(x: Array, window: Pair, geometry: Geometry, size: Pair) -> Array:
    edges = ((0, 0), *geometry.padding, (0, 0))
    y: Array = lax.reduce_window(x, -jnp.inf, lax.max, (1, *window, 1), (1, *geometry.stride, 1), edges)
    return y


def _forward(x: Array, window: Pair, geometry: Geometry, size: Pair) -> tuple[Array, Array]:
    first, *others = im2col.slices(pad_lowest(x, geometry), window, geometry)
    value, which = first, jnp.zeros(first.shape, jnp.int32)
    # Never by looking for the tap that equals the largest: an image that is computed twice may be rounded in two ways.
    for tap, other in enumerate(others, 1):
        which = jnp.where(other > value, tap, which)
        value = jnp.maximum(value, other)
    return value, which.astype(index_dtype(window))


def _backward(window: Pair, geometry: Geometry, size: Pair, which: Array, g: Array) -> tuple[Array]:
    return (unpool(which, g, window, geometry, size),)


_max_pool.defvjp(_forward, _backward)


def pad_lowest(x: Array, geometry: Geometry) -> Array:
    """The image with the padding of `geometry` around it, which never is the largest."""
    edges = ((0, 0, 0), (*geometry.padding[0], 0), (*geometry.padding[1], 0), (0, 0, 0))
    return x if geometry.padding == NO_PADDING else lax.pad(x, jnp.array(-jnp.inf, x.dtype), edges)


def index_dtype(window: Pair) -> DTypeLike:
    """Integers that number the taps of a window."""
    return jnp.int8 if math.prod(window) < 128 else jnp.int32


def unpool(which: Array, g: Array, window: Pair, geometry: Geometry, size: Pair) -> Array:
    """The gradient of an image of `size`: each value of `g` at the tap that was the largest of its window."""
    taken = (jnp.where(which == tap, g, 0) for tap in range(math.prod(window)))
    return im2col.col2im(taken, window, geometry, jnp.zeros((g.shape[0], *size, g.shape[3]), g.dtype))
