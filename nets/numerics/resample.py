"""Values between values: an axis in another size, by sums of shifted arrays or a product, never by a scatter."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import Array, lax


def sources(size: int, out: int, scale: float | None, *, align: bool) -> np.ndarray:
    """Where on an axis of `size` the places of one of `out` lie, between the middles of its values, in float32.

    scale: the factor where one was given, as PyTorch has it; else out / size. align: whether the outermost values lie
    on each other.
    """
    places = np.arange(out, dtype=np.float32)
    if align:
        return places * np.float32((size - 1) / (out - 1) if out > 1 else 0)
    step = np.float32(1 / scale if scale else size / out)
    return np.maximum((places + np.float32(0.5)) * step - np.float32(0.5), np.float32(0))


def nearest_sources(size: int, out: int, scale: float | None) -> np.ndarray:
    """Which value each place takes, as PyTorch's `nearest`: the one at or before it."""
    step = np.float32(1 / scale if scale else size / out)
    return np.minimum(np.floor(np.arange(out, dtype=np.float32) * step).astype(int), size - 1)


def weights(size: int, at: np.ndarray) -> np.ndarray:
    """`[size, out]`: how much of each value is in each place. at: places between values."""
    low = np.minimum(np.floor(at).astype(int), size - 1)
    high = np.minimum(low + 1, size - 1)
    rest = (at - low).astype(np.float32)
    matrix = np.zeros((size, len(at)), np.float32)
    places = np.arange(len(at))
    matrix[low, places] += 1 - rest
    matrix[high, places] += rest
    return matrix


def nearest(x: Array, axis: int, out: int, scale: float | None, precision: lax.Precision) -> Array:
    """An axis in another size, each place with a value that there is."""
    size = x.shape[axis]
    at = nearest_sources(size, out, scale)
    times = out // size
    if out % size == 0 and np.array_equal(at, np.repeat(np.arange(size), times)):
        many = jnp.broadcast_to(jnp.expand_dims(x, axis + 1), (*x.shape[: axis + 1], times, *x.shape[axis + 1 :]))
        return many.reshape(*x.shape[:axis], out, *x.shape[axis + 1 :])
    return mixed(x, axis, weights(size, at.astype(np.float32)), precision)


def linear(x: Array, axis: int, out: int, scale: float | None, *, align: bool, precision: lax.Precision) -> Array:
    """An axis in another size, each place a mean of the two values around it."""
    size = x.shape[axis]
    at = sources(size, out, scale, align=align)
    times = out // size
    if out % size or align or not np.array_equal(at, sources(size, out, float(times), align=False)):
        return mixed(x, axis, weights(size, at), precision)
    return by_phases(x, axis, times)


def by_phases(x: Array, axis: int, times: int) -> Array:
    """A whole multiple of a size: every `times`-th place has the same weights, of a value and its neighbours."""
    size = x.shape[axis]
    before = _with_edge(x, axis, low=True)  # place p has value p - 1
    after = _with_edge(x, axis, low=False)
    phases = []
    for phase in range(times):
        rest = (phase + 0.5) / times - 0.5
        other = before if rest < 0 else after
        phases.append(x * (1 - abs(rest)) + other * abs(rest) if rest else x)
    return jnp.stack(phases, axis + 1).reshape(*x.shape[:axis], size * times, *x.shape[axis + 1 :])


def _with_edge(x: Array, axis: int, *, low: bool) -> Array:
    """Each value's neighbour before it or behind it, the outermost its own."""
    size = x.shape[axis]
    if size == 1:
        return x
    edge = lax.slice_in_dim(x, 0, 1, axis=axis) if low else lax.slice_in_dim(x, size - 1, size, axis=axis)
    rest = lax.slice_in_dim(x, 0, size - 1, axis=axis) if low else lax.slice_in_dim(x, 1, size, axis=axis)
    return lax.concatenate([edge, rest] if low else [rest, edge], axis)


def mixed(x: Array, axis: int, matrix: np.ndarray, precision: lax.Precision) -> Array:
    """Sums along an axis. matrix: `[size, out]`."""
    moved = jnp.tensordot(x, jnp.asarray(matrix), ((axis,), (0,)), precision=precision)
    return jnp.moveaxis(moved, -1, axis)
