"""Images as the plan for CPUs lays them: channels first and batch last, whole or in four phases."""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array, lax

from nets.kernels.layouts import Laid, to
from nets.numerics.windows import Pair


def image(x: Laid) -> Array:
    """`[channels, height, width, batch]`."""
    return to(x, "CHWB").array


def phases(x: Laid) -> tuple[Array, ...]:
    """The four phases of an image of even size, each `[channels, height / 2, width / 2, batch]`."""
    four = to(x, "phases").arrays
    assert isinstance(four, tuple)
    return four


def shape_of(x: Laid) -> tuple[int, int, int, int]:
    """`(channels, height, width, batch)` of an image in any order."""
    if isinstance(x.arrays, tuple):
        channels, height, width, batch = x.arrays[0].shape
        return channels, 2 * height, 2 * width, batch
    sizes = dict(zip(x.layout, x.array.shape, strict=True))
    return sizes["C"], sizes["H"], sizes["W"], sizes["B"]


def zero_pad(x: Array, rows: Pair, columns: Pair) -> Array:
    """`[channels, height, width, batch]` with zeros around: so many (before, behind); negative numbers cut."""
    return lax.pad(x, jnp.zeros((), x.dtype), ((0, 0, 0), (*rows, 0), (*columns, 0), (0, 0, 0)))
