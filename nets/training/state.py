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
    weights: per batch the sum of those of its samples; None where all count alike.
    """

    losses: Float[Array, " chunk"]
    correct: Int[Array, ""]
    samples: Int[Array, ""]
    weights: Float[Array, " chunk"] | None = None


class Passed(NamedTuple):
    """What came of a way forward: a share of the batch's mean loss, hits, and the moved running statistics.

    weight: the sum of the weights of its samples; None where all count alike.
    """

    loss: Float[Array, ""]
    correct: Int[Array, ""]
    batch_stats: Tree
    weight: Float[Array, ""] | None = None


class Gathered(NamedTuple):
    """What the parts of a batch gave so far: the gradient of their shares of the mean loss, and these shares.

    weight: as `Passed` has it. batch_stats: the running statistics, where the parts of a batch move them.
    """

    gradients: Tree
    loss: Float[Array, ""]
    correct: Int[Array, ""]
    weight: Float[Array, ""] | None = None
    batch_stats: Tree = None


def nothing_of(params: Tree, *, weighted: bool, batch_stats: Tree = None) -> Gathered:
    """Before the first part of a batch. weighted: whether samples count by weights."""
    weight = jnp.float32(0) if weighted else None
    return Gathered(jax.tree.map(jnp.zeros_like, params), jnp.float32(0), jnp.int32(0), weight, batch_stats)


def no_totals(chunk: int, *, weighted: bool) -> Totals:
    zeros = jnp.zeros(chunk, jnp.float32)
    return Totals(zeros, jnp.int32(0), jnp.int32(0), zeros if weighted else None)


def with_batch(
    totals: Totals, i: Array, *, loss: Array, correct: Array, samples: Array, weight: Array | None
) -> Totals:
    """Totals after batch `i`."""
    weights = None if totals.weights is None else totals.weights.at[i].set(weight)
    return Totals(totals.losses.at[i].set(loss), totals.correct + correct, totals.samples + samples, weights)
