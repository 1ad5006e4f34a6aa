"""A run in motion: what stays the same, its state, and the passes over its samples."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import InitVar, dataclass, field
from functools import partial
from typing import Any

import jax
import numpy as np

from nets.architecture.architecture import Architecture
from nets.architecture.graph import INPUT, Graph
from nets.datasets import Dataset
from nets.datasets.input_statistics import input_statistics
from nets.facts import Compilation
from nets.hyperparams.hyperparams import Hyperparams
from nets.kernels import Choice
from nets.metrics import Reading
from nets.network import Variables, initial_variables, numbers_of, seed_key
from nets.process import allocator
from nets.process.device import device_description
from nets.training.cache import Program
from nets.training.clock import Clock
from nets.training.events import EpochEnd, Event, Finished, Log, Phase, Progress
from nets.training.learning_rate import LearningRate, plateau_of
from nets.training.measures import Measures, baselines, no_better, values_of
from nets.training.metrics import EpochMetrics
from nets.training.objective import Objective
from nets.training.pace import Pace
from nets.training.programs import Programs, start
from nets.training.rules import Rule, restore, states
from nets.training.samples import SAMPLES_SHOWN, sample_predictions, worst
from nets.training.sampling import Indices, Split, batches, epoch_order
from nets.training.snapshot import Best, Snapshot
from nets.training.state import Data, Gathered, RunNumbers, Totals, TrainState, Tree
from nets.training.step_losses import StepLosses
from nets.training.sums import Sums
from nets.training.timing import Times
from nets.training.update import Update
from nets.training.workload import Workload, longest_chunk, workload_on

EVALUATION_COST = 1 / 3  # of a training step: no backward pass
FLOAT, MANY = 4, 16 << 20  # bytes of a number, and of weights from which on their copies are worth giving back
STANDARDISED_BY = 10_000  # training samples, at most, that say what mean and deviation are


class Run:
    """What stays the same while a run trains. Rows on the device: training, then validation, then test samples."""

    def __init__(
        self,
        architecture: Architecture,
        hyperparams: Hyperparams,
        dataset: Dataset,
        split: Split,
        *,
        kernels: Choice = "auto",
    ) -> None:
        self.architecture = architecture
        self.hyperparams = hyperparams
        self.dataset = dataset
        sizes = np.cumsum([0, len(split.train), len(split.validation), len(dataset.test_labels)])
        self.train, self.validation, self.test = (np.arange(a, b) for a, b in zip(sizes[:-1], sizes[1:], strict=True))
        self.workload: Workload = workload_on(architecture, hyperparams, dataset.info, kernels=kernels)
        drawn = np.concatenate([split.train, split.validation])
        self.labels = np.concatenate([dataset.train_labels[drawn], dataset.test_labels]).astype(np.int32)
        self.data = Data(
            jax.device_put(joined(dataset.train_inputs, drawn, dataset.test_inputs)), jax.device_put(self.labels)
        )
        self.counts = np.bincount(dataset.train_labels[split.train], minlength=len(dataset.info.classes))
        self.typical = dataset.train_inputs[split.train[:STANDARDISED_BY]]
        self.epoch_work = len(self.train) + EVALUATION_COST * len(self.validation)
        self.update = Update.of(hyperparams, architecture.graph)
        self.work = hyperparams.epochs * self.epoch_work + EVALUATION_COST * len(self.test)

    def rules(self) -> Sequence[Rule]:
        """Those that look at each epoch of the run, with nothing seen."""
        return [rule for rule in [plateau_of(self.hyperparams)] if rule is not None]

    def numbers(self, rate: LearningRate) -> RunNumbers:
        """The numbers of the run, and the key of all that is random in its steps."""
        # Weights are drawn from the seed's own key; dropout from a key beside it.
        key = jax.random.fold_in(seed_key(self.hyperparams.seed), 0x64726F70)
        objective, steps = Objective.of(self.hyperparams, self.architecture), -(-len(self.train) // self.workload.batch)
        numbers, update = objective.numbers(self.counts, steps_per_epoch=steps), self.update.numbers(rate.inputs())
        return RunNumbers(numbers_of(self.architecture.graph), update, numbers, key)


@dataclass
class Trainer:
    """A run in motion: its state, and how far it has come."""

    run: Run
    programs: Programs
    resume: InitVar[Snapshot | None] = None
    done: float = 0.0  # of run.work
    epoch: int = 0
    seconds: float = 0.0  # that all epochs so far took
    clock: Clock = field(default_factory=lambda: Clock(is_ready))
    best: Best | None = None  # with keep_best alone
    trained: Sums | None = None  # of the epoch under way
    times: Times = field(default_factory=Times)

    def __post_init__(self, resume: Snapshot | None) -> None:
        self.measures = Measures(self.run.hyperparams, self.run.workload.graph.classes)
        self.step_losses = StepLosses(self.run.hyperparams, len(self.run.train))
        self.rules = self.run.rules()
        self.learning_rate = LearningRate.of(self.run.hyperparams, len(self.run.train), self.rules)
        self.numbers = self.run.numbers(self.learning_rate)
        self.evaluated = Objective.of_evaluation(self.numbers.objective)
        self.pace = Pace(self.run.workload.first_chunk())
        self.state: TrainState
        self.tidy()
        if resume is not None:
            self.go_on(resume)
            return
        graph = self.run.architecture.graph
        statistics = input_statistics(self.run.typical) if graph.standardises else None
        variables = initial_variables(graph, seed=self.run.hyperparams.seed, statistics=statistics)
        self.state = start(self.run.workload, started_from(self.run.typical, graph, variables))

    def go_on(self, snapshot: Snapshot) -> None:
        """Stand where the run that the snapshot is of stood."""
        # A copy, since the state is donated to the first step and the snapshot stays its owner's.
        self.state = jax.tree.map(lambda leaf: jax.device_put(np.array(leaf)), snapshot.state)
        self.epoch, self.seconds = snapshot.epoch, snapshot.seconds
        self.done = snapshot.epoch * self.run.epoch_work
        restore(self.rules, snapshot.rules)
        self.learning_rate.go_on(steps=int(snapshot.state.step), epochs=snapshot.epoch)
        self.numbers = self.run.numbers(self.learning_rate)
        if self.run.hyperparams.keep_best:
            self.best = snapshot.best or Best(snapshot.epoch, snapshot.metrics.val_loss, snapshot.variables)

    def epochs(self) -> Iterator[Event]:
        """Train every epoch that is left and validate after each."""
        yield from self.measures.begin()
        while self.epoch < self.run.hyperparams.epochs:
            self.epoch += 1
            self.tidy()
            began = self.clock.now()
            trained = yield from self.train_epoch(self.rows())
            self.average()
            training = self.clock.now() - began
            validated, logits = yield from self.evaluate(self.variables, self.run.validation, "validation")
            measured, remarks = self.measured(logits)
            yield from remarks
            metrics = self.metrics(trained, validated, training, self.clock.now() - began, measured)
            self.times.epoch(self.epoch, metrics.epoch_time)
            self.tidy()
            self.compare(metrics.val_loss)
            for rule in self.rules:
                rule.see(values_of(metrics))
            if self.learning_rate.changed:
                self.numbers = self.run.numbers(self.learning_rate)
            yield EpochEnd(self.epoch, partial(self.snapshot, metrics), self.times.told)
            yield metrics

    def average(self) -> None:
        """Count the weights at the end of an epoch, where they are averaged over the epochs."""
        swa = self.run.hyperparams.swa
        if swa and self.programs.average is not None and self.epoch >= swa.from_epoch:
            self.state = self.programs.average(self.state)

    def tidy(self) -> None:
        """Give back what is free where weights are many: copies of them leave holes that others do not quite fill."""
        if FLOAT * self.run.architecture.parameters >= MANY:
            allocator.release()

    def measured(self, logits: np.ndarray) -> tuple[dict[str, Any] | None, list[Log]]:
        """The metrics of the validation after this epoch, and what there is to say of them."""
        if not self.measures:
            return None, []
        return self.measures.of_epoch(logits, self.run.labels[self.run.validation], epoch=self.epoch)

    def metrics(
        self, trained: Sums, validated: Sums, training: float, seconds: float, measured: dict[str, Any] | None
    ) -> EpochMetrics:
        """What came of the epoch, which took `seconds`. `training`: those of its training alone."""
        h = self.run.hyperparams
        self.seconds += seconds
        return EpochMetrics(
            epoch=self.epoch,
            train_loss=trained.mean_loss,
            val_loss=validated.mean_loss,
            train_accuracy=trained.accuracy,
            val_accuracy=validated.accuracy,
            learning_rate=self.learning_rate.at_the_end_of(self.epoch),
            epoch_time=seconds,
            samples_per_sec=trained.samples / training,
            progress=self.epoch / h.epochs,
            eta_seconds=(h.epochs - self.epoch) * self.seconds / self.epoch,
            metrics=measured,
        )

    @property
    def variables(self) -> Variables:
        """Of the network as it is now, on the device: those that are evaluated and kept."""
        return self.run.update.evaluated(self.state)

    def compare(self, val_loss: float) -> None:
        """Keep the network as it is now where `keep_best` asks for it. Of equally good epochs the first stays."""
        if self.run.hyperparams.keep_best and (self.best is None or val_loss < self.best.val_loss):
            self.best = None  # its memory is for the one that follows
            self.best = Best(self.epoch, val_loss, on_host(self.variables))

    def snapshot(self, metrics: EpochMetrics) -> Snapshot:
        """All that the epochs to come depend on, copied to the host."""
        source, state = self.run.update.source(self.state), on_host(self.state)
        return Snapshot(self.epoch, state, self.seconds, metrics, self.best, states(self.rules), source)

    def rows(self) -> Indices:
        """The training samples in the order of this epoch."""
        train = self.run.train
        return train[epoch_order(self.run.hyperparams, len(train), epoch=self.epoch)]

    def train_epoch(self, rows: Indices) -> Generator[Event, None, Sums]:
        """One pass over `rows`. A chunk's totals are read while the next one runs."""
        if self.programs.update is not None:
            return (yield from self.train_epoch_in_parts(rows, self.programs.update))
        began = last = self.clock.now()
        sums, waiting = self.begin(), None
        for program, chunk, count in self.chunks(rows):
            self.times.dispatched(program, count, self.clock.now())
            self.state, totals = program(self.state, self.run.data, chunk, np.int32(count), self.numbers)
            self.clock.dispatched(totals, count * self.pace.seconds_per_step)
            if is_ready(totals):  # on a CPU, where programs run when they are called
                self.times.finished(self.clock.now())
            if waiting is not None:
                yield from self.heard(sums, *waiting)
                now = self.clock.now()
                self.times.finished(now, running=1)
                self.pace.timed(waiting[1], now - last)
                last = now
                yield self.progress("training", sums.samples / (now - began), sums.samples)
            waiting = totals, count
        assert waiting is not None
        yield from self.heard(sums, *waiting)
        self.times.finished(self.clock.now())
        self.clock.dispatched(None)
        yield self.progress("training", sums.samples / (self.clock.now() - began), sums.samples)
        self.done += sums.samples
        return sums

    def train_epoch_in_parts(self, rows: Indices, update: Program) -> Generator[Event, None, Sums]:
        """The same where a step would be too long for one dispatch: nothing runs on that nobody can stop."""
        began, r = self.clock.now(), self.run.workload
        sums, gathered = self.begin(), nothing_gathered(self.state.params, weighted=r.objective.weighted)
        for batch in batches(rows, r.batch):
            samples, parts = np.int32((batch >= 0).sum()), batches(batch, r.part)
            self.times.dispatched(update, 1, self.clock.now())
            first = 0
            for _, count in chunked(parts[: -(-samples // r.part)], len(parts), self.pace):
                last, counted = self.clock.now(), (np.int32(first), np.int32(count))
                gathered = self.programs.train(
                    gathered, self.state, self.run.data, parts, counted, samples, self.numbers
                )
                jax.block_until_ready(gathered.loss)
                first, now = first + count, self.clock.now()
                self.pace.timed(count, now - last)
                further = sums.samples + min(first * r.part, int(samples))
                yield self.progress("training", further / (now - began), further)
            gathered, self.state, totals = update(gathered, self.state, samples, self.numbers)
            yield from self.heard(sums, totals, 1)
            self.times.finished(self.clock.now())
        yield self.progress("training", sums.samples / (self.clock.now() - began), sums.samples)
        self.done += sums.samples
        return sums

    def heard(self, sums: Sums, totals: Totals, count: int) -> Iterator[Event]:
        """Read a chunk of the epoch under way, which waits for it, and tell of those steps that are asked for."""
        first = len(sums.losses)
        sums.add(totals, count, f"epoch {self.epoch}")
        yield from self.step_losses.of(sums.losses, first=first, epoch=self.epoch, rate=self.learning_rate.of_step)

    def begin(self) -> Sums:
        """Those of an epoch that starts."""
        self.trained = Sums()
        return self.trained

    def chunks(self, rows: Indices) -> Iterator[tuple[Program, np.ndarray, int]]:
        """The dispatches of an epoch: program, batches, and how many of them count."""
        r = self.run.workload
        whole = rows[: len(rows) - r.tail]
        for chunk, count in chunked(batches(whole, r.batch), r.chunk, self.pace):
            yield self.programs.train, chunk, count
        if r.tail:
            yield self.programs.tail, rows[len(whole) :].astype(np.int32)[None], 1

    def evaluate(
        self, variables: Variables, rows: Indices, what: str
    ) -> Generator[Event, None, tuple[Sums, np.ndarray]]:
        """Loss and accuracy over `rows`, and the logits: of all of them where metrics are asked for, else of the
        first. The program hands over those of the first batch of a chunk, so that all chunks have one batch then.
        """
        sums, began = Sums(), self.clock.now()
        kept: list[jax.Array] = []
        batch, whole = self.run.workload.evaluation_batch, bool(self.measures)
        last, pace = began, Pace(1 if whole else self.run.workload.first_evaluation())
        for chunk, count in chunked(batches(rows, batch), longest_chunk(batch), pace):
            totals, logits = self.programs.evaluate(
                variables, self.run.data, chunk, np.int32(count), self.numbers.layers, self.evaluated
            )
            kept += [logits] if whole or not kept else []
            sums.add(totals, count, f"the {what} after epoch {self.epoch}")
            now = self.clock.now()
            if not whole:
                pace.timed(count, now - last)
            last = now
            yield self.progress("evaluating", sums.samples / (now - began), EVALUATION_COST * sums.samples)
        self.done += EVALUATION_COST * sums.samples
        return sums, np.concatenate(jax.device_get(kept))[: len(rows)]

    def progress(self, phase: Phase, samples_per_sec: float, further: float) -> Progress:
        """Where the run is: what is done, and how much `further` the pass in hand has come."""
        fraction = min((self.done + further) / self.run.work, 1.0)
        seen = self.trained if self.trained and self.trained.samples else None
        return Progress(
            phase,
            fraction,
            self.epoch,
            self.run.hyperparams.epochs,
            samples_per_sec,
            loss=seen.running_loss if seen else None,
            accuracy=seen.accuracy if seen else None,
        )

    def finish(self, compilation: Compilation) -> Iterator[Event]:
        """Measure once on the test split, and hand over the weights."""
        self.tidy()
        variables = jax.device_put(self.best.variables) if self.best else self.variables
        tested, logits = yield from self.evaluate(variables, self.run.test, "test")
        labels, whole = self.run.labels[self.run.test], bool(self.measures)
        measured, remarks = self.measures.of_test(logits, labels) if whole else (None, [])
        yield from remarks
        known = baselines(validation=self.run.labels[self.run.validation], test=labels)
        mistakes = worst(self.run.dataset, self.run.dataset.test_inputs, Reading(logits, labels)) if whole else None
        yield Finished(
            test_accuracy=tested.accuracy,
            test_loss=tested.mean_loss,
            sample_predictions=sample_predictions(self.run.dataset, logits[:SAMPLES_SHOWN]),
            variables=jax.device_get(variables),
            compile_seconds=compilation["seconds"],
            device=device_description(self.run.workload.place),
            best_epoch=self.best.epoch if self.best else None,
            test_metrics=measured,
            baseline_accuracy=known,
            worst=mistakes,
            warnings=no_better(tested.accuracy, known.get("test")),
            compilation=compilation,
            timing=self.times.told(),
        )


def joined(inputs: np.ndarray, rows: Indices, more: np.ndarray) -> np.ndarray:
    """The `rows` of some samples and all of others, without a copy of either on the way."""
    found = np.empty((len(rows) + len(more), *inputs.shape[1:]), inputs.dtype)
    np.take(inputs, rows, axis=0, out=found[: len(rows)], mode="clip")  # the other modes copy; all rows exist
    found[len(rows) :] = more
    return found


def started_from(samples: np.ndarray, graph: Graph, variables: Variables) -> Variables:
    """Fresh variables, and in place of some those that start from training samples."""
    owners = [node for node in graph.nodes if node.layer.from_samples and not node.shares]
    if not owners:
        return variables
    seen = samples.astype(np.float32) / np.float32(255 if samples.dtype == np.uint8 else 1)
    if graph.standardises:
        seen = (seen - variables["batch_stats"][INPUT]["mean"]) / variables["batch_stats"][INPUT]["std"]
    more = {node.id: {**variables["params"][node.id], **node.layer.started(seen)} for node in owners}
    return {**variables, "params": {**variables["params"], **more}}


def nothing_gathered(params: Tree, *, weighted: bool) -> Gathered:
    """`steps.nothing_of` without a program of its own."""
    zeros = jax.tree.map(lambda leaf: jax.device_put(np.zeros(leaf.shape, leaf.dtype)), params)
    nothing = jax.device_put(np.float32(0))
    return Gathered(zeros, nothing, jax.device_put(np.int32(0)), jax.device_put(np.float32(0)) if weighted else None)


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
