"""Pure training and evaluation steps, and the loop over many of them that is compiled as one program."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import struct
from jax import lax
from jaxtyping import Array, Float, Int, UInt8

from nets.losses import Loss
from nets.network import Network
from nets.optimizers import Numbers, Optimizer

Tree = Any


class TrainState(struct.PyTreeNode):
    """Everything that training changes. `step`: how many steps came before, over all epochs."""

    params: Tree
    batch_stats: Tree
    opt_state: Tree
    step: Int[Array, ""]


class Data(NamedTuple):
    """Images and labels on the device."""

    images: UInt8[Array, "samples height width channels"]
    labels: Int[Array, " samples"]


class Inputs(NamedTuple):
    """What differs between runs of one program: numbers of layers and optimizer, and the key of all dropout."""

    layers: dict[str, dict[str, Array]]
    optimizer: dict[str, Array]
    key: Array


class Totals(NamedTuple):
    """Sums over the samples of a chunk. `diverged`: the first step whose loss was not finite, or -1."""

    loss: Float[Array, ""]
    correct: Int[Array, ""]
    samples: Int[Array, ""]
    diverged: Int[Array, ""]


def no_totals() -> Totals:
    return Totals(jnp.float32(0), jnp.int32(0), jnp.int32(0), jnp.int32(-1))


@dataclass(frozen=True)
class Steps:
    """The steps of one network under one optimizer and loss. Hashable: what a compiled program depends on."""

    network: Network
    optimizer: Optimizer  # its structure
    loss: Loss

    def initial_state(self, variables: Tree, numbers: Numbers) -> TrainState:
        opt_state = self.optimizer.transform(numbers).init(variables["params"])
        return TrainState(variables["params"], variables["batch_stats"], opt_state, jnp.int32(0))

    def train_batch(
        self, state: TrainState, data: Data, rows: Int[Array, " batch"], inputs: Inputs
    ) -> tuple[TrainState, Totals]:
        """One optimizer step on the mean loss of a batch; rows of -1 do not count."""
        real = rows >= 0
        labels = data.labels[rows]
        key = jax.random.fold_in(inputs.key, state.step)

        def mean_loss(params: Tree) -> tuple[Array, tuple[Tree, Array]]:
            variables = {"params": params, "batch_stats": state.batch_stats, "numbers": inputs.layers}
            logits, changed = self.network.apply(
                variables, data.images[rows], train=True, rngs={"dropout": key}, mutable=["batch_stats"]
            )
            loss = jnp.where(real, self.loss(logits, labels), 0).sum() / real.sum()
            return loss, (changed.get("batch_stats", {}), logits)

        (loss, (batch_stats, logits)), gradients = jax.value_and_grad(mean_loss, has_aux=True)(state.params)
        updates, opt_state = self.optimizer.transform(inputs.optimizer).update(gradients, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        samples = real.sum(dtype=jnp.int32)
        totals = Totals(
            loss=loss * samples,
            correct=(real & (logits.argmax(-1) == labels)).sum(dtype=jnp.int32),
            samples=samples,
            diverged=jnp.where(jnp.isfinite(loss), -1, state.step),
        )
        return TrainState(params, batch_stats, opt_state, state.step + 1), totals

    def train_chunk(
        self, state: TrainState, data: Data, rows: Int[Array, "chunk batch"], count: Int[Array, ""], inputs: Inputs
    ) -> tuple[TrainState, Totals]:
        """The first `count` batches of `rows`, one step each."""

        def step(i: Array, carry: tuple[TrainState, Totals]) -> tuple[TrainState, Totals]:
            state, totals = carry
            state, more = self.train_batch(state, data, rows[i], inputs)
            return state, added(totals, more)

        return lax.fori_loop(0, count, step, (state, no_totals()))

    def evaluate_chunk(
        self, variables: Tree, data: Data, rows: Int[Array, "chunk batch"], count: Int[Array, ""], layers: Tree
    ) -> tuple[Totals, Float[Array, "batch classes"]]:
        """Loss and accuracy over the first `count` batches of `rows`, and the logits of the first one."""

        def logits_of(batch: Int[Array, " batch"]) -> Float[Array, "batch classes"]:
            logits: Array = self.network.apply({**variables, "numbers": layers}, data.images[batch], train=False)
            return logits

        def step(i: Array, carry: tuple[Totals, Array]) -> tuple[Totals, Array]:
            totals, first = carry
            real, labels, logits = rows[i] >= 0, data.labels[rows[i]], logits_of(rows[i])
            loss = jnp.where(real, self.loss(logits, labels), 0).sum()
            more = Totals(
                loss,
                (real & (logits.argmax(-1) == labels)).sum(dtype=jnp.int32),
                real.sum(dtype=jnp.int32),
                jnp.where(jnp.isfinite(loss), -1, i),
            )
            return added(totals, more), jnp.where(i == 0, logits, first)

        blank = jnp.zeros((rows.shape[1], self.network.architecture.classes), jnp.float32)
        return lax.fori_loop(0, count, step, (no_totals(), blank))


def added(a: Totals, b: Totals) -> Totals:
    """Sums of both; the earlier divergence."""
    diverged = jnp.where(a.diverged >= 0, a.diverged, b.diverged)
    return Totals(a.loss + b.loss, a.correct + b.correct, a.samples + b.samples, diverged)
