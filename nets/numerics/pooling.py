"""Max pooling that remembers which value it took: its gradient needs no search. Images are `[_, H, W, _]`."""

from __future__ import annotations

import math
from functools import partial

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import DTypeLike

from nets.numerics import im2col
from nets.numerics.average import WRITTEN_OUT, parts_of
from nets.numerics.windows import NO_PADDING, Geometry, Pair


def max_pool(x: Array, window: Pair, geometry: Geometry) -> Array:
    """`[B, H, W, channels] -> [B, H', W', channels]`, any window, stride and padding.

    XLA's own gradient is a select-and-scatter: it looks for the largest values again, and a GPU that is asked for
    repeatable sums can only sort for it.
    """
    for part, along in passes(window, geometry):
        if max(part) > WRITTEN_OUT and along == Geometry(part):
            x = side_by_side(x, part)
        else:
            x = _max_pool(x, part, along, (x.shape[1], x.shape[2]))
    return x


def side_by_side(x: Array, window: Pair) -> Array:
    """Of long windows of one row or one column that neither overlap nor leave anything out."""
    axis = 1 if window[0] > 1 else 2
    places = x.shape[axis] // window[axis - 1]
    x = lax.slice_in_dim(x, 0, places * window[axis - 1], axis=axis)
    return largest(x.reshape(*x.shape[:axis], places, window[axis - 1], *x.shape[axis + 1 :]), axis + 1)


def passes(window: Pair, geometry: Geometry) -> tuple[tuple[Pair, Geometry], ...]:
    """A large window goes over the columns first, then over the rows: kh + kw comparisons instead of kh * kw.

    The first of equal values in reading order still wins.
    """
    if min(window) == 1 or window == (2, 2):
        return ((window, geometry),)
    return ((1, window[1]), geometry.across), ((window[0], 1), geometry.down)


@partial(jax.custom_vjp, nondiff_argnums=(1, 2, 3))
def _max_pool(x: Array, window: Pair, geometry: Geometry, size: Pair) -> Array:
    edges, apart = ((0, 0), *geometry.padding, (0, 0)), (1, *geometry.dilation, 1)
    y: Array = lax.reduce_window(
        x, -jnp.inf, lax.max, (1, *window, 1), (1, *geometry.stride, 1), edges, window_dilation=apart
    )
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


def adaptive_max(x: Array, places: Pair) -> Array:
    """`[_, H, W, _] -> [_, *places, _]`: the largest of each part of an image. PyTorch's adaptive pool."""
    size = x.shape[1], x.shape[2]
    if all(side % count == 0 for side, count in zip(size, places, strict=True)):
        window = size[0] // places[0], size[1] // places[1]
        return max_pool(x, window, Geometry(window))
    columns = [largest(x[:, :, first:end], 2) for first, end in parts_of(size[1], places[1])]
    x = jnp.stack(columns, 2)
    return jnp.stack([largest(x[:, first:end], 1) for first, end in parts_of(size[0], places[0])], 1)


def largest(x: Array, axis: int) -> Array:
    """The largest along an axis; the first of equal ones gets the gradient."""
    return _largest(x, axis, x.shape[axis])


@partial(jax.custom_vjp, nondiff_argnums=(1, 2))
def _largest(x: Array, axis: int, size: int) -> Array:
    return x.max(axis)


def _largest_forward(x: Array, axis: int, size: int) -> tuple[Array, Array]:
    return x.max(axis), x.argmax(axis).astype(jnp.int32)


def _largest_backward(axis: int, size: int, which: Array, g: Array) -> tuple[Array]:
    place = lax.broadcasted_iota(jnp.int32, (*g.shape[:axis], size, *g.shape[axis:]), axis)
    return (jnp.where(place == jnp.expand_dims(which, axis), jnp.expand_dims(g, axis), 0),)


_largest.defvjp(_largest_forward, _largest_backward)
