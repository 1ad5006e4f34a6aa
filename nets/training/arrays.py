"""Samples and states as arrays of the host, and rows in chunks."""

from __future__ import annotations

from collections.abc import Iterator

import jax
import numpy as np

from nets.training.pace import Pace
from nets.training.sampling import Indices
from nets.training.state import Gathered, Tree


def joined(inputs: np.ndarray, rows: Indices, more: np.ndarray) -> np.ndarray:
    """The `rows` of some samples and all of others, without a copy of either on the way."""
    found = np.empty((len(rows) + len(more), *inputs.shape[1:]), inputs.dtype)
    np.take(inputs, rows, axis=0, out=found[: len(rows)], mode="clip")  # the other modes copy; all rows exist
    found[len(rows) :] = more
    return found


def nothing_gathered(params: Tree, *, weighted: bool, batch_stats: Tree = None) -> Gathered:
    """`steps.nothing_of` without a program of its own."""
    zeros = jax.tree.map(lambda leaf: jax.device_put(np.zeros(leaf.shape, leaf.dtype)), params)
    nothing = jax.device_put(np.float32(0))
    weight = jax.device_put(np.float32(0)) if weighted else None
    stats = jax.tree.map(lambda leaf: jax.device_put(np.array(leaf)), batch_stats)  # what is gathered is donated
    return Gathered(zeros, nothing, jax.device_put(np.int32(0)), weight, stats)


def is_ready(tree: Tree) -> bool:
    """Whether the device has computed all of it."""
    return all(leaf.is_ready() for leaf in jax.tree.leaves(tree))


def on_host(tree: Tree) -> Tree:
    """A copy in numpy that nothing else owns: on a CPU `device_get` alone may show the device's own allocator."""
    return jax.tree.map(np.array, jax.device_get(tree))


def chunked(order: np.ndarray, size: int, pace: Pace) -> Iterator[tuple[np.ndarray, int]]:
    """Batches in chunks that hold up to `size` and are filled as `pace` says, each with how many batches count."""
    at = 0
    while at < len(order):
        part = order[at : at + min(size, pace.steps)]
        filled = np.full((size, order.shape[1]), -1, np.int32)
        filled[: len(part)] = part
        yield filled, len(part)
        at += len(part)
