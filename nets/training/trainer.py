"""A run in motion: its state, and the passes over its samples."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import InitVar, dataclass, field, replace
from functools import partial
from typing import Any

import jax
import numpy as np

from nets.datasets.input_statistics import input_statistics
from nets.facts import Compilation, StoppedBy
from nets.network import Variables, initial_variables
from nets.process import allocator
from nets.process.device import device_description
from nets.stopping.goals import better
from nets.training import means
from nets.training.arrays import chunked, is_ready, nothing_gathered
from nets.training.cache import Program
from nets.training.clock import Clock
from nets.training.compilation import compilation as summed_up
from nets.training.events import Compiled, EpochEnd, Event, Finished, Log, Phase, Progress
from nets.training.horizon import Place, endings_of, go_on, stopped_by
from nets.training.learning_rate import LearningRate
from nets.training.measures import Measures, baselines
from nets.training.metrics import EpochMetrics, values_of
from nets.training.objective import Objective
from nets.training.pace import Pace
from nets.training.programs import Pending, Programs, start
from nets.training.rules import states
from nets.training.run import EVALUATION_COST, Run, started_from
from nets.training.samples import SAMPLES_SHOWN, sample_predictions
from nets.training.sampling import Indices, batches, epoch_order
from nets.training.snapshot import Best, Snapshot, best_of
from nets.training.state import Gathered, Totals, TrainState
from nets.training.step_losses import StepLosses
from nets.training.sums import Sums
from nets.training.timing import Times
from nets.training.workload import longest_chunk

FLOAT, MANY = 4, 16 << 20  # bytes of a number, and of weights from which on their copies are worth giving back


@dataclass
class Trainer:
    """A run in motion: its state, and how far it has come."""

    run: Run
    programs: Programs
    resume: InitVar[Snapshot | None] = None
    compiling: float = 0.0  # seconds that the run has waited for programs
    done: float = 0.0  # of run.work
    epoch: int = 0
    seconds: float = 0.0  # that all epochs so far took
    clock: Clock = field(default_factory=lambda: Clock(is_ready))
    best: Best | None = None  # where it is kept
    stopped_by: StoppedBy | None = None
    trained: Sums | None = None  # of the epoch under way
    times: Times = field(default_factory=Times)

    def __post_init__(self, resume: Snapshot | None) -> None:
        self.measures = Measures(self.run.hyperparams, self.run.architecture.graph)
        self.step_losses = StepLosses(self.run.hyperparams, len(self.run.train))
        self.endings = endings_of(self.run.hyperparams)
        self.rules = [*self.run.rules(), *self.endings]
        self.learning_rate = LearningRate.of(self.run.hyperparams, len(self.run.train), self.rules)
        self.numbers = self.run.numbers(self.learning_rate)
        self.evaluated = Objective.of_evaluation(self.numbers.objective)
        self.work, self.began = self.run.work, self.clock.now()  # of the run, and of the epoch under way
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
        self.state = self.run.workload.filing.placed(snapshot.state)
        self.epoch, self.seconds = snapshot.epoch, snapshot.seconds
        self.done = snapshot.epoch * self.run.epoch_work
        go_on(self.rules, snapshot)
        self.learning_rate.go_on(steps=int(snapshot.state.step), epochs=snapshot.epoch)
        self.numbers = self.run.numbers(self.learning_rate)
        at = Place(self.epoch, int(snapshot.state.step), self.seconds)
        self.stopped_by = stopped_by(self.endings, at, self.run.hyperparams.epochs)
        self.best = best_of(snapshot, self.run.hyperparams.kept_by)

    def epochs(self) -> Iterator[Event]:
        """Train every epoch that is left and validate after each."""
        yield from self.measures.begin()
        while self.epoch < self.run.hyperparams.epochs and self.stopped_by is None:
            self.epoch += 1
            self.tidy()
            self.began = self.clock.now()
            trained = yield from self.train_epoch(self.rows())
            self.average()
            training = self.clock.now() - self.began
            variables = yield from self.readable(self.variables)
            validated, logits = yield from self.evaluate(variables, self.run.validation, "validation")
            measured, remarks = self.measured(logits)
            yield from remarks
            at = self.place(trained)
            metrics = self.metrics(trained, validated, training, at, measured)
            self.times.epoch(self.epoch, metrics.epoch_time)
            self.tidy()
            metrics = self.look(metrics, at)
            if self.learning_rate.changed:
                self.numbers = self.run.numbers(self.learning_rate)
            yield EpochEnd(self.epoch, partial(self.snapshot, metrics), self.times.told)
            yield metrics
            if self.stopped_by is not None:
                yield Log("info", f"ended by {self.stopped_by['rule']}: {self.stopped_by['message']}")

    def place(self, trained: Sums) -> Place:
        """The end of the epoch, which is now."""
        took = self.clock.now() - self.began
        self.seconds += took
        share = trained.samples / len(self.run.train)
        return Place(self.epoch, int(self.state.step), self.seconds, took=took, share=share)

    def look(self, metrics: EpochMetrics, at: Place) -> EpochMetrics:
        """Have all rules see an epoch; its metrics, with nothing left to do where one ends the run."""
        values = {**values_of(metrics), **at.values}
        self.compare(values)
        for rule in self.rules:
            rule.see(values)
        self.stopped_by = stopped_by(self.endings, at, self.run.hyperparams.epochs)
        if self.stopped_by is None:
            return metrics
        self.work = self.done + EVALUATION_COST * len(self.run.test)
        return replace(metrics, progress=1.0, eta_seconds=0.0)

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
        self, trained: Sums, validated: Sums, training: float, at: Place, measured: dict[str, Any] | None
    ) -> EpochMetrics:
        """What came of the epoch, which ended `at`. `training`: seconds of its training alone."""
        return EpochMetrics(
            epoch=self.epoch,
            train_loss=trained.mean_loss,
            val_loss=validated.mean_loss,
            train_accuracy=trained.accuracy,
            val_accuracy=validated.accuracy,
            learning_rate=self.learning_rate.last_of(at.step),
            epoch_time=at.took,
            samples_per_sec=trained.samples / training,
            progress=self.run.horizon.progress(at),
            eta_seconds=self.run.horizon.seconds_left(at),
            metrics=measured,
        )

    @property
    def variables(self) -> Variables:
        """Of the network as it is now, on the device: those that are evaluated and kept."""
        return self.run.update.evaluated(self.state)

    def compare(self, values: Mapping[str, float]) -> None:
        """Keep the network as it is now where the best epoch is kept. Of equally good epochs the first stays."""
        if (kept := self.run.hyperparams.kept_by) is None or kept[0] not in values:
            return
        (metric, goal), so_far = kept, self.best.value if self.best else None
        if better(goal, values[metric], so_far):
            self.best = None  # its memory is for the one that follows
            self.best = Best(self.epoch, metric, values[metric], self.run.workload.filing.taken(self.variables))

    def snapshot(self, metrics: EpochMetrics) -> Snapshot:
        """All that the epochs to come depend on, copied to the host."""
        source, state = self.run.update.source(self.state), self.run.workload.filing.taken(self.state)
        return Snapshot(self.epoch, state, self.seconds, metrics, self.best, states(self.rules), source)

    def rows(self) -> Indices:
        """The training samples in the order of this epoch."""
        train, left = self.run.train, self.run.horizon.left(int(self.state.step))
        rows = train[epoch_order(self.run.hyperparams, len(train), epoch=self.epoch)]
        return rows if left is None else rows[: left * self.run.workload.batch]

    def late(self) -> bool:
        """Whether the run has had all its time."""
        return self.run.horizon.late(self.seconds + self.clock.now() - self.began)

    def train_epoch(self, rows: Indices) -> Generator[Event, None, Sums]:
        """One pass over `rows`. A chunk's totals are read while the next one runs."""
        if self.programs.update is not None:
            return (yield from self.train_epoch_in_parts(rows, self.programs.update))
        began = last = self.clock.now()
        sums, waiting = self.begin(), None
        for program, chunk, count in self.chunks(rows):
            if waiting is not None and self.late():
                break
            program = yield from self.arrived(program, sums.samples)
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
        sums, gathered = self.begin(), self.nothing_gathered()
        for batch in batches(rows, r.batch):
            if sums.samples and self.late():
                break
            samples, parts = np.int32((batch >= 0).sum()), batches(batch, r.part)
            self.times.dispatched(update, 1, self.clock.now())
            first = 0
            whole = samples // r.part if r.graph.normalises else -(-samples // r.part)
            for _, count in chunked(parts[:whole], len(parts), self.pace):
                last, counted = self.clock.now(), (np.int32(first), np.int32(count))
                gathered = self.programs.train(
                    gathered, self.state, self.run.data, parts, counted, samples, self.numbers
                )
                jax.block_until_ready(gathered.loss)
                first, now = first + count, self.clock.now()
                self.pace.timed(count, now - last)
                further = sums.samples + min(first * r.part, int(samples))
                yield self.progress("training", further / (now - began), further)
            if whole * r.part < samples:
                program = yield from self.arrived(self.programs.tail, sums.samples)
                gathered = program(gathered, self.state, self.run.data, parts, samples, self.numbers)
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
        yield from self.step_losses.of(sums, first=first, epoch=self.epoch, rate=self.learning_rate.of_step)

    def nothing_gathered(self) -> Gathered:
        """Before the first part of a batch."""
        r, state = self.run.workload, self.state
        stats = state.batch_stats if r.graph.normalises else None
        return nothing_gathered(r.update.changed(state.params), weighted=r.objective.weighted, batch_stats=stats)

    def begin(self) -> Sums:
        """Those of an epoch that starts."""
        self.trained = Sums()
        return self.trained

    def arrived(self, late: Program | Pending, further: float = 0.0) -> Generator[Event, None, Program]:
        """A program, waited for where it was compiled meanwhile, which is no time of the training."""
        if not isinstance(late, Pending):
            return late
        jax.block_until_ready(self.state)
        began = self.clock.now()
        program = yield from late.awaited(self.progress("compiling", None, further))
        waited = self.clock.now() - began
        self.clock.waited(waited)
        self.compiling += waited
        origins = [*self.programs.origins, *late.arrivals()]
        self.programs = replace(self.programs, **{late.part.name: program}, origins=origins)
        yield Compiled(self.compilation)
        return program

    @property
    def compilation(self) -> Compilation:
        """Of the programs that are there."""
        return summed_up(self.programs.origins, seconds=self.compiling)

    def chunks(self, rows: Indices) -> Iterator[tuple[Program | Pending, np.ndarray, int]]:
        """The dispatches of an epoch: program, batches, and how many of them count."""
        r = self.run.workload
        tail = len(rows) % r.batch if r.tail else 0
        whole = rows[: len(rows) - tail]
        for chunk, count in chunked(batches(whole, r.batch), r.chunk, self.pace):
            yield self.programs.train, chunk, count
        if tail:
            yield self.programs.tail, rows[len(whole) :].astype(np.int32)[None], 1

    def evaluate(
        self, variables: Variables, rows: Indices, what: str
    ) -> Generator[Event, None, tuple[Sums, np.ndarray]]:
        """Loss and accuracy over `rows`, and the logits: of all of them where metrics are asked for, else of the
        first. The program hands over those of the first batch of a chunk, so that all chunks have one batch then.
        """
        program = yield from self.arrived(self.programs.evaluate)
        sums, began = Sums(), self.clock.now()
        kept: list[jax.Array] = []
        batch, whole = self.run.workload.evaluation_batch, bool(self.measures)
        last, pace = began, Pace(1 if whole else self.run.workload.first_evaluation())
        for chunk, count in chunked(batches(rows, batch), longest_chunk(batch), pace):
            totals, logits = program(
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

    def readable(self, variables: Variables) -> Generator[Event, None, Variables]:
        """With the means of the classes, where the network ends in places that are read by the nearest of them."""
        if self.programs.means is None:
            return variables
        program = yield from self.arrived(self.programs.means)
        held, began = means.nothing(self.run.workload.classes, self.run.workload.graph.classes), self.clock.now()
        train, batch = self.run.train, self.run.workload.evaluation_batch
        for chunk, count in chunked(
            batches(train, batch), longest_chunk(batch), Pace(self.run.workload.first_evaluation())
        ):
            held = program(held, variables, self.run.data, chunk, np.int32(count), self.numbers.layers)
            jax.block_until_ready(held.counts)
            yield self.progress("evaluating", len(train) / max(self.clock.now() - began, 1e-9), 0)
        return {**variables, "classes": means.read_by(held, self.run.hyperparams.loss)}

    def progress(self, phase: Phase, samples_per_sec: float | None, further: float) -> Progress:
        """Where the run is: what is done, and how much `further` the pass in hand has come."""
        fraction = min((self.done + further) / self.work, 1.0)
        if (most := self.run.hyperparams.max_seconds) and phase == "training":
            spent = min((self.seconds + self.clock.now() - self.began) / most, 1.0)
            fraction = max(fraction, spent * (1 - EVALUATION_COST * len(self.run.test) / self.work))
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

    def finish(self) -> Iterator[Event]:
        """Measure once on the test split, and hand over the weights."""
        self.tidy()
        compilation = self.compilation
        filing = self.run.workload.filing
        variables = yield from self.readable(filing.placed(self.best.variables) if self.best else self.variables)
        tested, logits = yield from self.evaluate(variables, self.run.test, "test")
        labels, whole = self.run.labels[self.run.test], bool(self.measures)
        reading = self.measures.reading(logits, labels) if whole else None
        measured, remarks = self.measures.of_test(reading) if reading else (None, [])
        yield from remarks
        known = baselines(validation=self.run.labels[self.run.validation], test=labels)
        yield Finished(
            test_accuracy=tested.accuracy,
            test_loss=tested.mean_loss,
            sample_predictions=sample_predictions(self.run.dataset, logits[:SAMPLES_SHOWN]),
            variables=filing.apart(jax.device_get(variables)),
            compile_seconds=compilation["seconds"],
            device=device_description(self.run.workload.place),
            best_epoch=self.best.epoch if self.best else None,
            test_metrics=measured,
            baseline_accuracy=known,
            worst=self.measures.worst(self.run.dataset, reading) if reading else None,
            warnings=self.measures.remarks(tested.accuracy, known.get("test")),
            stopped_by=self.stopped_by,
            target_reached=next((rule.reached for rule in self.endings if rule.reached), None),
            compilation=compilation,
            timing=self.times.told(),
        )
