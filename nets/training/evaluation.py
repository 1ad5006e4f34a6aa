"""A trained network measured apart from its training, on any samples that fit."""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import jax
import numpy as np
from jaxtyping import Int

from nets.architecture.architecture import Architecture
from nets.datasets import Dataset
from nets.hyperparams.hyperparams import Hyperparams
from nets.kernels import Choice
from nets.metrics import Measured, Metric, baseline_accuracy, measured, mistakes_shown
from nets.network import Variables, numbers_of
from nets.process.device import device_description
from nets.training.cache import Program, ProgramCache
from nets.training.filing import joined_on_host
from nets.training.measures import reading_of
from nets.training.objective import Objective
from nets.training.programs import compiled, evaluation
from nets.training.samples import SamplePrediction, worst
from nets.training.sampling import Split, batches, draw
from nets.training.state import Data
from nets.training.workload import Workload, longest_chunk, workload_of

SplitName = Literal["test", "train", "validation"]
MOST_SAMPLES, MOST_BYTES = 4096, 32 << 20  # on the device at a time


@dataclass(frozen=True)
class Step:
    """Something was done, or is being waited for. samples: evaluated so far."""

    phase: Literal["compiling", "evaluating"]
    samples: int = 0


@dataclass(frozen=True)
class Evaluated:
    """What a network makes of some samples. loss: its own, in training; None where it is not finite.

    worst: the mistakes that it is surest of. seconds: without compilation.
    """

    samples: int
    loss: float | None
    accuracy: float
    baseline_accuracy: float
    measured: Measured
    worst: list[SamplePrediction]
    seconds: float
    device: str


def rows_of(split: SplitName, dataset: Dataset, hyperparams: Hyperparams) -> tuple[np.ndarray, Int[np.ndarray, " n"]]:
    """The samples of a split, as rows of the part of the data set that is given first.

    Those that train and validate are the ones that a run with these hyperparameters draws, by its seed.
    """
    if split == "test":
        return dataset.test_inputs, np.arange(len(dataset.test_labels))
    both = drawn(hyperparams, dataset)
    return dataset.train_inputs, both.train if split == "train" else both.validation


def drawn(hyperparams: Hyperparams, dataset: Dataset) -> Split:
    """The samples that a run with these hyperparameters would train on, and validate with."""
    return draw(hyperparams, len(dataset.train_labels))


def evaluate(
    architecture: Architecture,
    hyperparams: Hyperparams,
    variables: Variables,
    dataset: Dataset,
    *,
    split: SplitName = "test",
    metrics: Sequence[Metric] = (),
    max_samples: int | None = None,
    programs: ProgramCache | None = None,
    kernels: Choice = "auto",
) -> Generator[Step, None, Evaluated]:
    """A trained network on a split of a data set, on the default device: the figures that its run has of that split.

    hyperparams: those of its training, for its loss, precision and split. max_samples: the first of them alone.
    It yields after each batch, and while it waits for its program: closing it stops it.
    The network has to fit the data set. Raises CompilersBusy.
    """
    inputs, rows = rows_of(split, dataset, hyperparams)
    labels = dataset.test_labels if split == "test" else dataset.train_labels
    rows = rows[:max_samples]
    here = hyperparams.model_copy(update={"device": None})
    train, classes = 1, 0  # of which evaluation knows nothing, unless samples are compared with each other
    if hyperparams.loss.embeds:
        train, classes = len(drawn(hyperparams, dataset).train), len(variables["classes"]["means"])
    workload = workload_of(architecture, here, train=train, samples=1, kernels=kernels, classes=classes)
    workload = replace(workload, samples=block_of(inputs, workload.evaluation_batch))
    part = evaluation(workload)
    cache = ProgramCache() if programs is None else programs
    program = (yield from compiled([part], cache, Step("compiling")))[part.name]
    began = time.perf_counter()
    counts = np.bincount(dataset.train_labels[drawn(hyperparams, dataset).train], minlength=len(dataset.info.classes))
    numbers = Objective.of_evaluation(Objective.of(hyperparams, architecture).numbers(counts))
    pass_ = Pass(workload, program, variables, numbers_of(architecture.graph), numbers)
    for at in range(0, len(rows), workload.samples):
        some = rows[at : at + workload.samples]
        yield from pass_.over(inputs[some], labels[some])
    loss = hyperparams.loss
    reading = reading_of(pass_.logits(), labels[rows], loss=loss, graph=architecture.graph)
    return Evaluated(
        samples=len(rows),
        loss=pass_.loss(),
        accuracy=float(reading.hits.mean()),
        baseline_accuracy=baseline_accuracy(reading.labels) or 0.0,
        measured=measured(metrics, reading),
        worst=worst(dataset, inputs, reading, mistakes_shown(metrics), rows=rows),
        seconds=time.perf_counter() - began,
        device=device_description(workload.place),
    )


def block_of(inputs: np.ndarray, batch: int) -> int:
    """How many samples are on the device at a time: whole batches, as many for all data sets of one kind of samples."""
    each = max(1, math.prod(inputs.shape[1:]) * inputs.itemsize)
    return batch * max(1, min(MOST_SAMPLES, MOST_BYTES // each) // batch)


class Pass:
    """A pass over samples, some of them at a time."""

    def __init__(
        self,
        workload: Workload,
        program: Program,
        variables: Variables,
        layers: Mapping[str, Any],
        objective: Mapping[str, Any],
    ) -> None:
        self.workload, self.program, self.layers, self.objective = workload, program, layers, objective
        given = {name: each for name, each in variables.items() if name != "numbers"}
        self.variables = workload.filing.together(given, joined_on_host)
        self._weights: list[float] = []
        self._losses: list[float] = []
        self._logits: list[np.ndarray] = []
        self._samples = 0

    def over(self, inputs: np.ndarray, labels: np.ndarray) -> Generator[Step]:
        """Some samples more: as many as are on the device at a time, or fewer."""
        batch, data = self.workload.evaluation_batch, Data(self.held(inputs), self.held(labels.astype(np.int32)))
        chunk = np.full((longest_chunk(batch), batch), -1, np.int32)
        for row in batches(np.arange(len(labels)), batch):
            chunk[0] = row
            totals, logits = self.program(self.variables, data, chunk, np.int32(1), self.layers, self.objective)
            counted = int((row >= 0).sum())
            self._losses.append(float(totals.losses[0]))
            self._weights.append(counted if totals.weights is None else float(totals.weights[0]))
            self._logits.append(np.asarray(logits)[:counted])
            self._samples += counted
            yield Step("evaluating", self._samples)

    def held(self, array: np.ndarray) -> jax.Array:
        """An array on the device, filled up to what the program takes."""
        whole = np.zeros((self.workload.samples, *array.shape[1:]), array.dtype)
        whole[: len(array)] = array
        return jax.device_put(whole)

    def logits(self) -> np.ndarray:
        """Of all samples so far."""
        return np.concatenate(self._logits)

    def loss(self) -> float | None:
        """The mean over all samples so far; None where it is not finite."""
        weight = math.fsum(self._weights) or 1.0
        mean = math.fsum(self._losses) / weight if all(map(math.isfinite, self._losses)) else math.inf
        return mean if math.isfinite(mean) else None
