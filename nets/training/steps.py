"""Pure training and evaluation steps, and the loop over many of them that is compiled as one program."""

from __future__ import annotations

from dataclasses import dataclass
from typing import overload

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from nets.losses import Terms
from nets.losses.embedding import OfEmbeddings, hits, nearness
from nets.network import Network
from nets.training.filing import Filing
from nets.training.means import Places, added
from nets.training.objective import Objective
from nets.training.pace import even_part, samples_at_most
from nets.training.seen import Seen, part_of
from nets.training.state import (
    Data,
    Gathered,
    Passed,
    RunNumbers,
    Totals,
    TrainState,
    Tree,
    no_totals,
    nothing_of,
    with_batch,
)
from nets.training.update import Update
from nets.views import averaged


@overload
def summed(each: Array, real: Array) -> Array: ...


@overload
def summed(each: None, real: Array) -> None: ...


@overload
def summed(each: Array | None, real: Array) -> Array | None: ...


def summed(each: Array | None, real: Array) -> Array | None:
    """Over the samples that count; None of nothing."""
    return None if each is None else jnp.where(real, each, 0).sum()


@dataclass(frozen=True)
class Steps:
    """The steps of one network. Hashable: what a compiled program depends on, update and objective without numbers."""

    network: Network
    update: Update
    objective: Objective
    platform: str  # jax's name of the backend
    micro: int | None = None  # samples of a batch that was asked for, where a step is made of several

    @property
    def filing(self) -> Filing:
        """How arrays are filed that come in and go out."""
        return Filing.of(self.network.graph, self.network.stacks)

    def train_batch(
        self, state: TrainState, data: Data, rows: Int[Array, " batch"], numbers: RunNumbers
    ) -> tuple[TrainState, Passed]:
        """One optimizer step on the mean loss of a batch; rows of -1 do not count."""
        parts, samples = self.parts(rows), (rows >= 0).sum(dtype=jnp.int32)
        if len(parts) > 1:
            gathered = by_weight(self.gathered(state, data, parts, len(rows), samples, numbers), samples)
            stats = self.moved(state, gathered)
            passed = Passed(gathered.loss, gathered.correct, stats, gathered.weight)
            return self.updated(state, gathered.gradients, stats, numbers), passed
        key, seen = jax.random.fold_in(numbers.key, state.step), self.seen(state, data, parts, 0, samples, numbers)
        gradients, passed = self.gradient(state, seen, samples, key, numbers)
        gathered = by_weight(Gathered(gradients, passed.loss, passed.correct, passed.weight), samples)
        state = self.updated(state, gathered.gradients, passed.batch_stats, numbers)
        return state, passed._replace(loss=gathered.loss)

    def gathered(
        self,
        state: TrainState,
        data: Data,
        parts: Int[Array, "parts part"],
        batch: int,
        samples: Int[Array, ""],
        numbers: RunNumbers,
    ) -> Gathered:
        """What all parts of a batch give, of which only samples that fill it up are beyond `batch`."""
        part = parts.shape[1]
        count: int | Array = len(parts)
        if self.network.graph.normalises:  # it sees no samples that fill a part up
            whole, rest = divmod(batch, part)
            gathered = self.gather(self.nothing(state), state, data, parts, (0, whole), samples, numbers)
            return self.last(gathered, state, data, parts, samples, numbers, size=rest) if rest else gathered
        if self.micro is not None:
            count = -(-samples // part)
        return self.gather(self.nothing(state), state, data, parts, (0, count), samples, numbers)

    def updated(self, state: TrainState, gradients: Tree, batch_stats: Tree, numbers: RunNumbers) -> TrainState:
        """The state after a step of the optimizer."""
        gradients = self.objective.penalised(gradients, state.params, numbers.objective, self.filing)
        updates, opt_state = self.update.updates(
            gradients, state.opt_state, state.params, state.step, numbers.update, self.filing
        )
        if self.update.optimizer.divides:
            updates = self.network.plan.set_apart(updates, self.network.graph)
        params = self.update.added(state.params, updates)
        after = TrainState(params, batch_stats, opt_state, state.step + 1, state.averages)
        return self.update.averaged(after, numbers.update)

    def parts(self, rows: Int[Array, " batch"]) -> Int[Array, "parts part"]:
        """A batch cut into the parts that the plan computes at a time; exact unless a norm looks across the batch."""
        batch = len(rows)
        part = self.part(batch)
        if part == batch:
            return rows[None]
        parts = -(-batch // part)
        return jnp.pad(rows, (0, parts * part - batch), constant_values=-1).reshape(parts, part)

    def part(self, batch: int) -> int:
        """How many samples of a batch go forward and back at a time."""
        batch = min(batch, self.micro or batch)
        most, long = self.network.plan.micro_batch(self.network.graph), samples_at_most(self.network)
        if self.network.graph.normalises or self.objective.loss.embeds:
            return batch
        if long < min(batch, most or batch):
            return even_part(batch, long)
        if most is None or batch < 2 * most:
            return batch
        return -(-batch // -(-batch // most))

    def cut(self, batch: int) -> bool:
        """Whether a step is too long for one dispatch: its parts are dispatches of their own, and so is the update."""
        return self.part(batch) < batch and samples_at_most(self.network) < batch

    def gather(
        self,
        gathered: Gathered,
        state: TrainState,
        data: Data,
        parts: Int[Array, "parts part"],
        counted: tuple[int | Array, int | Array],
        samples: Int[Array, ""],
        numbers: RunNumbers,
    ) -> Gathered:
        """What was gathered and some of `parts`, which are a whole batch, one after the other.

        counted: the number of the first one, and how many of them.
        """
        (first, count), key = counted, jax.random.fold_in(numbers.key, state.step)

        def add(i: Array, gathered: Gathered) -> Gathered:
            seen = self.seen(state, data, parts, first + i, samples, numbers)
            return self.with_part(gathered, state, seen, samples, jax.random.fold_in(key, first + i), numbers)

        return lax.fori_loop(0, count, add, gathered)

    def last(
        self,
        gathered: Gathered,
        state: TrainState,
        data: Data,
        parts: Int[Array, "parts part"],
        samples: Int[Array, ""],
        numbers: RunNumbers,
        *,
        size: int,
    ) -> Gathered:
        """What was gathered and the part that is a batch's last one, of `size` samples, fewer than the others have."""
        at = samples // parts.shape[1]
        seen = part_of(self.objective, data, parts, at, samples, state.step, numbers, size=size)
        key = jax.random.fold_in(jax.random.fold_in(numbers.key, state.step), at)
        return self.with_part(gathered, state, seen, samples, key, numbers)

    def with_part(
        self,
        gathered: Gathered,
        state: TrainState,
        seen: Seen,
        samples: Int[Array, ""],
        key: Array,
        numbers: RunNumbers,
    ) -> Gathered:
        """What was gathered and one more part."""
        moving = state.replace(batch_stats=self.moved(state, gathered))
        more, part = self.gradient(moving, seen, samples, key, numbers)
        gradients = jax.tree.map(jnp.add, gathered.gradients, more)
        weight = None if gathered.weight is None or part.weight is None else gathered.weight + part.weight
        stats = None if gathered.batch_stats is None else part.batch_stats
        return Gathered(gradients, gathered.loss + part.loss, gathered.correct + part.correct, weight, stats)

    def moved(self, state: TrainState, gathered: Gathered) -> Tree:
        """The running statistics, as the parts of a batch have moved them."""
        return state.batch_stats if gathered.batch_stats is None else gathered.batch_stats

    def step_by(
        self, gathered: Gathered, state: TrainState, samples: Int[Array, ""], numbers: RunNumbers
    ) -> tuple[Gathered, TrainState, Totals]:
        """The step of a batch whose parts were gathered, and nothing gathered for the next one."""
        gathered = by_weight(gathered, samples)
        state = self.updated(state, gathered.gradients, self.moved(state, gathered), numbers)
        weight = samples if gathered.weight is None else gathered.weight
        weights = None if gathered.weight is None else gathered.weight[None]
        totals = Totals((gathered.loss * weight)[None], gathered.correct, samples, weights)
        return self.nothing(state), state, totals

    def nothing(self, state: TrainState) -> Gathered:
        """Before the first part of a batch: zeros for what changes, and the statistics that parts will move."""
        stats = state.batch_stats if self.network.graph.normalises else None
        return nothing_of(self.update.changed(state.params), weighted=self.objective.weighted, batch_stats=stats)

    def seen(
        self,
        state: TrainState,
        data: Data,
        parts: Int[Array, "parts part"],
        part: int | Array,
        samples: Int[Array, ""],
        numbers: RunNumbers,
    ) -> Seen:
        """One part of a batch as the network gets it in this step."""
        return part_of(self.objective, data, parts, part, samples, state.step, numbers)

    def gradient(
        self,
        state: TrainState,
        seen: Seen,
        samples: Int[Array, ""],
        key: Array,
        numbers: RunNumbers,
    ) -> tuple[Tree, Passed]:
        """The gradient of a part's share of the mean loss over `samples`, and what came of the way forward."""

        def loss(changed: Tree) -> tuple[Array, Passed]:
            params = self.update.whole(changed, state.params)
            return self.forward(params, state.batch_stats, seen, samples, key, numbers)

        gradients, passed = jax.grad(loss, has_aux=True)(self.update.changed(state.params))
        return gradients, passed

    def forward(
        self,
        params: Tree,
        batch_stats: Tree,
        seen: Seen,
        samples: Int[Array, ""],
        key: Array,
        numbers: RunNumbers,
    ) -> tuple[Array, Passed]:
        """A part of a batch through the network: its share of what is made small, and of the mean loss over `samples`.

        Where samples count by weights they are what `by_weight` makes shares of the means.
        """
        kept = self.objective.kept(self.network.graph)
        found, changed = self.network.apply(
            {"params": params, "batch_stats": batch_stats, "numbers": numbers.layers},
            seen.inputs,
            train=True,
            rngs={"dropout": key},
            mutable=["batch_stats"],
            **({"kept": kept} if kept else {}),
        )
        logits, more = found if kept else (found, ())
        values = dict(zip(kept, more, strict=True))
        ends = [self.terms(logits, 0, seen, numbers)]
        if self.objective.heads:
            others = enumerate(self.network.graph.heads[1:], start=1)
            ends += [self.terms(values[name].astype(jnp.float32), at, seen, numbers) for at, name in others]
        terms = ends[0]
        loss = summed(terms.each, seen.counts) / samples
        least = loss
        if kept or self.objective.heads:
            least = summed(self.objective.minimised(ends, values, numbers.objective), seen.counts) / samples
        correct = self.hits(logits, seen).sum(dtype=jnp.int32)
        return least, Passed(loss, correct, changed.get("batch_stats", {}), summed(terms.weight, seen.counts))

    def hits(self, logits: Float[Array, "part width"], seen: Seen) -> Bool[Array, " part"]:
        """Which samples are told right: by the largest logit, or the nearest mean of a class in the batch."""
        loss = self.objective.loss
        if isinstance(loss, OfEmbeddings):
            return hits(loss.places(logits), seen.labels, seen.counts)
        return seen.counts & (logits.argmax(-1) == seen.main)

    def terms(self, logits: Float[Array, "part width"], end: int, seen: Seen, numbers: RunNumbers) -> Terms:
        """What the loss makes of the logits of one of the outputs."""
        outputs, own = self.outputs(logits, end), numbers.objective
        return self.objective.terms(
            outputs, seen.labels, own, real=seen.counts, platform=self.platform, mixed=seen.mixed
        )

    def outputs(self, logits: Float[Array, "batch classes"], end: int = 0) -> Float[Array, "batch classes"]:
        """What the loss takes of one of the outputs: the logits, or what its last layer makes of them."""
        return self.network.graph.ends[end].layer.read(logits) if self.objective.loss.takes == "output" else logits

    def train_chunk(
        self, state: TrainState, data: Data, rows: Int[Array, "chunk batch"], count: Int[Array, ""], numbers: RunNumbers
    ) -> tuple[TrainState, Totals]:
        """The first `count` batches of `rows`, one step each."""

        def step(i: Array, carry: tuple[TrainState, Totals]) -> tuple[TrainState, Totals]:
            state, totals = carry
            state, passed = self.train_batch(state, data, rows[i], numbers)
            samples = (rows[i] >= 0).sum(dtype=jnp.int32)
            weight = passed.weight
            loss = passed.loss * (samples if weight is None else weight)
            totals = with_batch(totals, i, loss=loss, correct=passed.correct, samples=samples, weight=weight)
            return state, totals

        return lax.fori_loop(0, count, step, (state, no_totals(len(rows), weighted=self.objective.weighted)))

    def evaluated(
        self, variables: Tree, data: Data, batch: Int[Array, " batch"], layers: Tree
    ) -> Float[Array, "batch width"]:
        """The logits of a batch that is not trained on, or what else the network ends in."""
        counted = batch >= 0 if self.network.graph.compares else None
        held = {"params": variables["params"], "batch_stats": variables["batch_stats"], "numbers": layers}

        def network(inputs: Array) -> Array:
            logits: Array = self.network.apply(held, inputs, train=False, counted=counted)
            return logits

        return averaged(network, data.inputs[batch], self.objective.views)

    def means_chunk(
        self,
        held: Places,
        variables: Tree,
        data: Data,
        rows: Int[Array, "chunk batch"],
        count: Int[Array, ""],
        layers: Tree,
    ) -> Places:
        """Where the samples of the first `count` batches of `rows` are, beside those that are held."""
        loss = self.objective.loss
        assert isinstance(loss, OfEmbeddings), loss.type

        def step(i: Array, held: Places) -> Places:
            places = loss.places(self.evaluated(variables, data, rows[i], layers))
            return added(held, places, data.labels[rows[i]], rows[i] >= 0)

        return lax.fori_loop(0, count, step, held)

    def evaluate_chunk(
        self,
        variables: Tree,
        data: Data,
        rows: Int[Array, "chunk batch"],
        count: Int[Array, ""],
        layers: Tree,
        objective: Tree,
    ) -> tuple[Totals, Float[Array, "batch classes"]]:
        """Loss and accuracy over the first `count` batches of `rows`, and the logits of the first one.

        layers, objective: as in `RunNumbers`.
        """

        def step(i: Array, carry: tuple[Totals, Array]) -> tuple[Totals, Array]:
            totals, first = carry
            real, labels = rows[i] >= 0, data.labels[rows[i]]
            logits = self.evaluated(variables, data, rows[i], layers)
            outputs = self.outputs(logits)
            terms = self.objective.terms(outputs, labels, objective, real=real, platform=self.platform)
            loss, weight = summed(terms.each, real), summed(terms.weight, real)
            logits = nearness(logits, variables["classes"]) if self.objective.loss.embeds else logits
            correct = (real & (logits.argmax(-1) == labels)).sum(dtype=jnp.int32)
            samples = real.sum(dtype=jnp.int32)
            totals = with_batch(totals, i, loss=loss, correct=correct, samples=samples, weight=weight)
            return totals, jnp.where(i == 0, logits, first)

        classes = len(variables["classes"]["means"]) if self.objective.loss.embeds else self.network.graph.classes
        blank = jnp.zeros((rows.shape[1], classes), jnp.float32)
        return lax.fori_loop(0, count, step, (no_totals(len(rows), weighted=self.objective.weighted), blank))


def by_weight(gathered: Gathered, samples: Int[Array, ""]) -> Gathered:
    """What a whole batch of `samples` gave, by the sum of their weights where they have such.

    Before that it is by their number, since no part of a batch knows the weights of the others. Without any weight
    there is no gradient, and no loss.
    """
    if gathered.weight is None:
        return gathered
    factor = jnp.where(gathered.weight > 0, samples / jnp.where(gathered.weight > 0, gathered.weight, 1), 0)
    gradients = jax.tree.map(lambda leaf: leaf * factor, gathered.gradients)
    return gathered._replace(gradients=gradients, loss=gathered.loss * factor)
