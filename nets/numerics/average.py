"""Sums and means over windows. Images are `[_, H, W, _]`; gradients are made of sums alone."""

from __future__ import annotations

from functools import reduce

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from nets.numerics import im2col
from nets.numerics.windows import NO_PADDING, Geometry, Pair

WRITTEN_OUT = 16  # taps along one axis, at most, that are summed one by one


def window_sums(x: Array, window: Pair, geometry: Geometry) -> Array:
    """`[_, H, W, _] -> [_, H', W', _]`: the sum of each window, over zeros beyond the image."""
    if geometry.padding == NO_PADDING and geometry.stride == window:
        return _side_by_side(x, window)
    x = lax.pad(x, jnp.zeros((), x.dtype), ((0, 0, 0), *((*edge, 0) for edge in geometry.padding), (0, 0, 0)))
    for taps, along in (
        ((1, window[1]), Geometry((1, geometry.stride[1]))),
        ((window[0], 1), Geometry((geometry.stride[0], 1))),
    ):
        x = _sums(x, taps, along)
    return x


def _sums(x: Array, window: Pair, along: Geometry) -> Array:
    if max(window) > WRITTEN_OUT:
        y: Array = lax.reduce_window(x, 0.0, lax.add, (1, *window, 1), (1, *along.stride, 1), "VALID")
        return y
    return reduce(jnp.add, im2col.slices(x, window, along))


def _side_by_side(x: Array, window: Pair) -> Array:
    """What is left over at the end belongs to no window."""
    (kh, kw), (outer, height, width, inner) = window, x.shape
    rows, columns = height // kh, width // kw
    x = lax.slice(x, (0, 0, 0, 0), (outer, rows * kh, columns * kw, inner))
    return x.reshape(outer, rows, kh, columns, kw, inner).sum((2, 4))


def parts_of(size: int, places: int) -> list[tuple[int, int]]:
    """Where each of so many places begins and ends on an axis, that may overlap by one. PyTorch's adaptive pools."""
    return [(place * size // places, -(-(place + 1) * size // places)) for place in range(places)]


def adaptive_average(x: Array, places: Pair, precision: lax.Precision) -> Array:
    """`[_, H, W, _] -> [_, *places, _]`: the mean of each part of an image."""
    size = x.shape[1], x.shape[2]
    if all(side % count == 0 for side, count in zip(size, places, strict=True)):
        window = size[0] // places[0], size[1] // places[1]
        return window_sums(x, window, Geometry(window)) / (window[0] * window[1])
    for axis, (side, count) in enumerate(zip(size, places, strict=True), 1):
        means = np.zeros((count, side), np.float32)
        for place, (first, end) in enumerate(parts_of(side, count)):
            means[place, first:end] = 1 / (end - first)
        x = jnp.moveaxis(jnp.tensordot(means, x, (1, axis), precision=precision), 0, axis)
    return x
