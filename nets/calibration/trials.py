"""Small networks trained for a fraction of a second each, through the trainer that the server trains with."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from nets.architecture.architecture import Architecture
from nets.calibration.work import Amounts, of_compiling, of_evaluation, of_reading, of_training, sort_of
from nets.datasets import Dataset, from_arrays
from nets.hyperparams.hyperparams import Hyperparams
from nets.process import quiet
from nets.training.cache import ProgramCache
from nets.training.compilation import compilation
from nets.training.pace import sample_seconds
from nets.training.programs import compiling
from nets.training.run import Run
from nets.training.sampling import draw
from nets.training.trainer import Trainer
from nets.training.workload import workload_of

Returned = TypeVar("Returned")
SECONDS, FEWEST_PASSES = 0.25, 3  # that a network trains
PASS_SECONDS, MOST_STEPS = 0.08, 64  # of one pass, roughly, on the machine whose rates the plans know
VALIDATED = 256, 1024  # samples, at least and at most


@dataclass(frozen=True)
class Trial:
    """Seconds of a pass over the training samples of a network, of one over its validation samples, and until its
    programs were there: compiled anew, or read from the disk; neither where some were read.
    """

    sort: str  # `sort_of` the network
    training: tuple[Amounts, float]
    evaluation: tuple[Amounts, float]
    compiling: tuple[Amounts, float] | None = None
    reading: tuple[Amounts, float] | None = None
    disturbed: float = 0.0  # share of the processors' time that others used meanwhile


class Begun:
    """A network that trains on random samples, on the device that JAX takes by default here: to be timed at leisure.

    What two processors share takes twice as long for some seconds on many a machine that others use as well: of all
    times of a pass, those of the fastest visit count.
    """

    def __init__(self, architecture: Architecture, hyperparams: Hyperparams) -> None:
        run = prepared(architecture, hyperparams)
        began = time.perf_counter()
        programs = returned(compiling(run.workload, ProgramCache(), None))
        self._compilation = compilation(programs.origins, seconds=time.perf_counter() - began)
        self._trainer = Trainer(run, programs)
        self._training = self._evaluation = math.inf
        self._disturbed = 0.0

    def visit(self) -> None:
        """Time some passes."""
        before = quiet.usage()
        training, evaluation = timed(self._trainer)
        if training < self._training:
            self._disturbed = quiet.disturbance(before, quiet.usage()) or 0.0
        self._training, self._evaluation = min(self._training, training), min(self._evaluation, evaluation)

    def trial(self) -> Trial:
        """What came of it."""
        run = self._trainer.run
        w, train, validation = run.workload, len(run.train), len(run.validation)
        kind, waited = self._compilation["kind"], self._compilation["seconds"]
        return Trial(
            sort_of(w.graph),
            (of_training(w, train), self._training),
            (of_evaluation(w, validation), self._evaluation),
            compiling=(of_compiling(w), waited) if kind == "cold" else None,
            reading=(of_reading(w), waited) if kind == "disk" else None,
            disturbed=self._disturbed,
        )


def prepared(architecture: Architecture, hyperparams: Hyperparams) -> Run:
    """A run on as many samples as train for a moment."""
    batch = hyperparams.batch_size
    network = workload_of(architecture, hyperparams, train=batch, samples=batch).unstacked.network
    train = batch * int(np.clip(PASS_SECONDS / sample_seconds(network) / batch, 2, MOST_STEPS))
    validation = int(np.clip(train // 4, *VALIDATED)) // 64 * 64
    share = (train + 0.5) / (train + validation)
    wanted = hyperparams.model_copy(update={"max_samples": None, "train_split": share})
    return Run(architecture, wanted, made(architecture, train + validation), draw(wanted, train + validation))


def made(architecture: Architecture, count: int) -> Dataset:
    """Random images, and a class of each."""
    inputs = np.random.default_rng(0).integers(0, 256, (count, *architecture.graph.input.canonical), np.uint8)
    labels = (np.arange(count) % architecture.graph.classes).astype(np.int32)
    return from_arrays(inputs, labels, inputs[:64], labels[:64])


def timed(trainer: Trainer, seconds: float = SECONDS) -> tuple[float, float]:
    """Seconds of a pass over the training samples, and of one over the validation samples."""
    passes: list[tuple[float, float]] = []
    began = time.perf_counter()
    while len(passes) <= FEWEST_PASSES or time.perf_counter() - began < seconds:
        trainer.epoch += 1
        start = time.perf_counter()
        returned(trainer.train_epoch(trainer.rows()))
        trained = time.perf_counter()
        returned(trainer.evaluate(trainer.variables, trainer.run.validation, "validation"))
        passes.append((trained - start, time.perf_counter() - trained))
    training, evaluation = zip(*passes[1:], strict=True)  # the first allocates and warms up
    return statistics.median(training), statistics.median(evaluation)


def returned(generator: Generator[Any, None, Returned]) -> Returned:
    """What a generator returns, its events dropped."""
    while True:
        try:
            next(generator)
        except StopIteration as stop:
            value: Returned = stop.value
            return value
