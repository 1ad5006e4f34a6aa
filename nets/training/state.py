"""What flows through compiled programs: the state of a run, its samples, its numbers, and what came of a chunk."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float, Int

Tree = Any


class TrainState(struct.PyTreeNode):
    """Everything that training changes.

    step: how many steps came before, over all epochs. averages: of the parameters over many steps; empty where the
    update takes none.
    """

    params: Tree
    batch_stats: Tree
    opt_state: Tree
    step: Int[Array, ""]
    averages: Tree = struct.field(default_factory=dict)


class Data(NamedTuple):
    """Samples on the device, in the canonical order of their kind, and a label of each."""

    inputs: Array
    labels: Int[Array, " samples"]


class RunNumbers(NamedTuple):
    """What differs between runs of one program: the numbers of its parts, and the key of all that is random."""

    layers: dict[str, dict[str, Array]]
    update: dict[str, dict[str, Array]]
    objective: dict[str, Any]
    key: Array


class Totals(NamedTuple):
    """What came of a chunk. `losses`: per batch the sum over its samples, not finite where the run diverged.

    Sums of losses are left to the host, which adds them exactly: how a pass is cut into chunks changes no digit.
    """

    losses: Float[Array, " chunk"]
    correct: Int[Array, ""]
    samples: Int[Array, ""]


class Passed(NamedTuple):
    """What came of a way forward: a share of the batch's mean loss, hits, and the moved running statistics."""

    loss: Float[Array, ""]
    correct: Int[Array, ""]
    batch_stats: Tree


class Gathered(NamedTuple):
    """What the parts of a batch gave so far: the gradient of their shares of the mean loss, and these shares."""

    gradients: Tree
    loss: Float[Array, ""]
    correct: Int[Array, ""]


def nothing_of(params: Tree) -> Gathered:
    """Before the first part of a batch."""
    return Gathered(jax.tree.map(jnp.zeros_like, params), jnp.float32(0), jnp.int32(0))


def no_totals(chunk: int) -> Totals:
    return Totals(jnp.zeros(chunk, jnp.float32), jnp.int32(0), jnp.int32(0))


def with_batch(totals: Totals, i: Array, *, loss: Array, correct: Array, samples: Array) -> Totals:
    """Totals after batch `i`."""
    return Totals(totals.losses.at[i].set(loss), totals.correct + correct, totals.samples + samples)
