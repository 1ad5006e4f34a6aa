"""The four places of a 2 x 2 window, in whichever form the convolution before left them.

`Corners` is an image `[channels, H, W, batch]`; or its four phases as a tuple; or the phases stacked in one array
`[4, channels, H / 2, W / 2, batch]`. What is computed for all values alike maps over any of the three.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from nets.kernels.cpu.gemm import barrier
from nets.kernels.cpu.layouts import zero_pad
from nets.numerics.windows import Pair

Corners = Array | tuple[Array, ...]
WindowForm = Literal["phases", "stacked"] | Pair


def form(z: Corners) -> WindowForm:
    """In which form `unpool_windows` has to hand gradients back to `z`; for an image its height and width."""
    if isinstance(z, tuple):
        return "phases"
    return "stacked" if z.ndim == 5 else (z.shape[1], z.shape[2])


def corners(z: Corners) -> tuple[Array, ...]:
    """The four views `[channels, H // 2, W // 2, batch]`; an odd last row or column belongs to no window."""
    if isinstance(z, tuple):
        return z
    if z.ndim == 5:
        return tuple(z[i] for i in range(4))
    height, width = z.shape[1] // 2 * 2, z.shape[2] // 2 * 2
    return tuple(z[:, i:height:2, j:width:2] for i in (0, 1) for j in (0, 1))


def largest(four: tuple[Array, ...]) -> tuple[Array, Array]:
    """The largest of four, and which it was (the first of equals), int8."""
    a, b, c, d = four
    value = jnp.maximum(jnp.maximum(a, b), jnp.maximum(c, d))
    which = jnp.where(a == value, 0, jnp.where(b == value, 1, jnp.where(c == value, 2, 3)))
    return value, which.astype(jnp.int8)


def unpool_windows(g: Array, which: Array, back: WindowForm) -> Corners:
    """The gradient `g` of every window at the corner that it came from, zero at the others."""
    if back == "phases":
        return tuple(jnp.where(which == i, g, 0) for i in range(4))
    if back == "stacked":
        return jnp.where(which == np.arange(4, dtype=np.int8).reshape(4, 1, 1, 1, 1), g, 0)
    channels, height, width, batch = g.shape
    place = np.arange(4, dtype=np.int8).reshape(1, 1, 2, 1, 2, 1)
    grid = jnp.where(which[:, :, None, :, None] == place, g[:, :, None, :, None], 0)
    whole = grid.reshape(channels, 2 * height, 2 * width, batch)
    return zero_pad(whole, (0, back[0] - 2 * height), (0, back[1] - 2 * width))


def map_windows(function: Callable[..., Array], *trees: Corners) -> Corners:
    result: Corners = jax.tree.map(function, *trees)
    return result


def materialised(z: Corners) -> Corners:
    """`z` in memory."""
    return map_windows(barrier, z)


def per_channel(vector: Array) -> Array:
    """One value per channel, to go with any form."""
    return vector[:, None, None, None]


def channel_sums(z: Corners) -> Array:
    """`[channels]`: the sum of all values of every channel."""
    parts = [part.sum(tuple(i for i in range(part.ndim) if i != part.ndim - 4)) for part in jax.tree.leaves(z)]
    return sum(parts[1:], parts[0])
