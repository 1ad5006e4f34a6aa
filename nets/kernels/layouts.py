"""In which order the axes of arrays lie while a plan computes, and the one table of ways from one order to another.

B: batch, C: channels or features, H and W: height and width, T: time. `phases`: an image of even height and width in
the order CHWB as four arrays, `phases[2 * i + j] = image[:, i::2, j::2]`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax import Array

from nets.kernels.cpu.gemm import row_major

Layout = Literal["BC", "CB", "BHWC", "CHWB", "phases", "BTC", "CTB", "BT"]
Arrays = Array | tuple[Array, ...]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Laid:
    """What flows along an edge while a network is traced: an array (of `phases`, four), and how it lies."""

    arrays: Arrays
    layout: Layout = field(metadata={"static": True})

    @property
    def array(self) -> Array:
        """Where there is one."""
        assert not isinstance(self.arrays, tuple), self.layout
        return self.arrays

    @property
    def batch(self) -> int:
        """How many samples it has."""
        leaf = jax.tree.leaves(self.arrays)[0]
        return int(leaf.shape[0 if self.layout.startswith("B") else -1])


def to(x: Laid, layout: Layout) -> Laid:
    """`x` as it lies in another order; itself where it lies so already."""
    return x if x.layout == layout else Laid(WAYS[x.layout, layout](x.arrays), layout)


def single(x: Laid) -> Laid:
    """`x` as one array."""
    return to(x, "CHWB") if x.layout == "phases" else x


def _channels_first(x: Array) -> Array:
    moved = x.transpose(3, 1, 2, 0)
    # Of several channels every value is far from its new neighbour, and is moved once: a gather of windows would look
    # for each as often as windows see it. A single channel is left to whoever reads it.
    return moved if x.shape[3] == 1 else row_major(moved)


def _channels_last(x: Array) -> Array:
    return x.transpose(3, 1, 2, 0)


def split(x: Array) -> tuple[Array, ...]:
    return tuple(x[:, i::2, j::2] for i in (0, 1) for j in (0, 1))


def join(four: tuple[Array, ...]) -> Array:
    channels, height, width, batch = four[0].shape
    grid = jnp.stack(four).reshape(2, 2, channels, height, width, batch)
    return grid.transpose(2, 3, 0, 4, 1, 5).reshape(channels, 2 * height, 2 * width, batch)


Way = Callable[[Any], Arrays]
WAYS: Mapping[tuple[Layout, Layout], Way] = MappingProxyType(
    {
        ("BC", "CB"): jnp.transpose,
        ("CB", "BC"): jnp.transpose,
        ("BHWC", "CHWB"): _channels_first,
        ("CHWB", "BHWC"): _channels_last,
        ("BTC", "CTB"): lambda x: row_major(x.transpose(2, 1, 0)),
        ("CTB", "BTC"): lambda x: row_major(x.transpose(2, 1, 0)),
        ("CHWB", "phases"): split,
        ("phases", "CHWB"): join,
        ("BHWC", "phases"): lambda x: split(_channels_first(x)),
        ("phases", "BHWC"): lambda four: _channels_last(join(four)),
    }
)
