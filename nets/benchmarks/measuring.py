"""What one process measures of one cell, through exactly the code that the server trains and answers with."""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, TypedDict

import numpy as np

from nets.architecture.architecture import Architecture
from nets.architecture.cost import flops_train_step
from nets.benchmarks.data import dataset_of
from nets.datasets import Dataset
from nets.facts import PeakMemory
from nets.hyperparams.hyperparams import Hyperparams
from nets.inference import Predictor
from nets.process.device import keep_compiled_programs
from nets.process.devices import find
from nets.process.energy import Energy, EnergyMeter
from nets.process.peak_memory import PeakGauge
from nets.training.arrays import on_host
from nets.training.cache import ProgramCache
from nets.training.fit import fit
from nets.training.metrics import EpochMetrics
from nets.training.programs import compiling
from nets.training.run import Run
from nets.training.sampling import draw
from nets.training.sums import Sums
from nets.training.timing import Times
from nets.training.trainer import Trainer

# An epoch of a large network is cut to about so many operations: by what it costs, and not by how fast it is, so that
# each device sees the same samples.
EPOCH_FLOPS, LEAST_BATCHES = 2e12, 2
ANSWERS, ANSWERS_SECONDS, MANY = 100, 0.3, 1024

Phase = tuple[str, float]  # what is done now, and which share of it


class Speed(TypedDict):
    """One repeat. steps: seconds of steps, each with how many took that."""

    compile_seconds: float
    first_step_seconds: float
    samples_per_second: float
    samples: int
    energy: Energy
    steps: list[tuple[float, int]]
    losses: list[float]
    peak_memory: PeakMemory
    latencies: list[float]
    throughput: float
    answered: int


class Reached(TypedDict):
    """Training to a target. seconds, epoch: null where it was missed."""

    seconds: float | None
    epoch: int | None
    best: float


@dataclass(frozen=True)
class Job:
    """What a process shall measure. data: the name of a data set, or `synthetic`."""

    architecture: Architecture
    hyperparams: Hyperparams
    data: str
    data_dir: Path
    programs: Path
    warmup_seconds: float
    measured_seconds: float
    loss_steps: int
    max_samples: int
    target: float | None
    target_epochs: int


def measured(job: Job) -> Generator[Phase, None, Speed]:
    """Compile, train, answer."""
    keep_compiled_programs(job.programs)
    gauge = PeakGauge(device=find(job.hyperparams.device))
    yield "loading", 0.0
    dataset = dataset_of(job.hyperparams, job.data, job.data_dir)
    hyperparams = whole_batches(job, dataset)
    began = time.perf_counter()
    run = Run(job.architecture, hyperparams, dataset, draw(hyperparams, len(dataset.train_labels)))
    asked = time.perf_counter()
    programs = yield from compiling(run.workload, ProgramCache(), ("compiling", 0.0))
    compiled = time.perf_counter() - asked
    first = yield from first_step(Trainer(run, programs), began)
    trainer = Trainer(run, programs)
    losses = yield from warm_up(trainer, job)
    speed, samples, energy = yield from steady(trainer, job)
    memory = gauge.told()
    latencies, throughput, answered = yield from answers(trainer, dataset)
    return {
        "compile_seconds": compiled,
        "first_step_seconds": first,
        "samples_per_second": speed,
        "samples": samples,
        "energy": energy,
        "steps": trainer.times.steps(),
        "losses": losses,
        "peak_memory": memory,
        "latencies": latencies,
        "throughput": throughput,
        "answered": answered,
    }


def whole_batches(job: Job, dataset: Dataset) -> Hyperparams:
    """As many samples as fill whole batches, so that steps are alike."""
    h, available = job.hyperparams, len(dataset.train_labels)
    each = flops_train_step(job.architecture.graph, 1)
    batch = h.batch_size * h.accumulate
    affordable = max(int(EPOCH_FLOPS / each), LEAST_BATCHES * batch)
    wanted = min(job.max_samples, int(affordable / h.train_split))
    drawn = min(max(wanted, math.ceil(batch / h.train_split) + 1), available)
    while drawn > 2 and int(drawn * h.train_split) % batch:
        drawn -= 1
    if int(drawn * h.train_split) < batch:
        most = int(available * h.train_split)
        raise ValueError(f"batch_size must be at most {most}, the samples there are to train on, got {batch}")
    return h.model_copy(update={"max_samples": drawn})


def first_step(trainer: Trainer, began: float) -> Generator[Phase, None, float]:
    """Seconds from the start of a run to the end of its first dispatch."""
    trainer.epoch = 1
    events = trainer.train_epoch(trainer.rows())
    yield "first step", 0.0
    next(events)
    seconds = time.perf_counter() - began
    events.close()
    return seconds


def epoch(trainer: Trainer, phase: str) -> Generator[Phase, None, Sums]:
    """One pass over the samples."""
    trainer.epoch += 1
    events = trainer.train_epoch(trainer.rows())
    while True:
        try:
            next(events)
        except StopIteration as end:
            sums: Sums = end.value
            return sums
        yield phase, 0.0


def warm_up(trainer: Trainer, job: Job) -> Generator[Phase, None, list[float]]:
    """Train until the device has warmed up; the mean losses of the first steps."""
    until = time.perf_counter() + job.warmup_seconds
    losses: list[float] = []
    batch = trainer.run.workload.batch
    while time.perf_counter() < until or len(losses) < job.loss_steps:
        sums = yield from epoch(trainer, "warming up")
        losses += [loss / batch for loss in sums.losses]
    return finite(losses[: job.loss_steps])


def finite(losses: list[float]) -> list[float]:
    """The same losses; ValueError where training diverged, whose speed would say nothing of the network."""
    for step, loss in enumerate(losses, 1):
        if not math.isfinite(loss):
            raise ValueError(f"the loss of step {step} is {loss}: training diverged; lower learning_rate")
    return losses


def steady(trainer: Trainer, job: Job) -> Generator[Phase, None, tuple[float, int, Energy]]:
    """Samples a second, the median of whole epochs; how many samples in all, and the energy that they took.

    What disturbs a machine for less than half of the time disturbs nothing.
    """
    trainer.times, meter = Times(), EnergyMeter(trainer.run.workload.place)
    meter.start()
    until, samples, rates = time.perf_counter() + job.measured_seconds, 0, list[float]()
    while not rates or time.perf_counter() < until:
        began = time.perf_counter()
        sums = yield from epoch(trainer, "training")
        rates.append(sums.samples / (time.perf_counter() - began))
        samples += sums.samples
    return median(rates), samples, meter.stop()


def answers(trainer: Trainer, dataset: Dataset) -> Generator[Phase, None, tuple[list[float], float, int]]:
    """Seconds of answers for one sample each; samples a second of many at once, and how many."""
    run = trainer.run
    precision, device = run.hyperparams.precision, run.workload.place
    predictor = Predictor(run.architecture, on_host(trainer.variables), precision=precision, device=device)
    inputs = dataset.test_inputs[:MANY]
    if run.architecture.graph.input.kind == "image":
        inputs = inputs.astype(np.float32) / 255
    yield "answering", 0.0
    predictor.probabilities(inputs[:1])
    latencies: list[float] = []
    until = time.perf_counter() + ANSWERS_SECONDS
    while len(latencies) < ANSWERS or time.perf_counter() < until:
        at = len(latencies) % len(inputs)
        began = time.perf_counter()
        predictor.probabilities(inputs[at : at + 1])
        latencies.append(time.perf_counter() - began)
    yield "answering", 0.5
    predictor.probabilities(inputs)
    began, rounds = time.perf_counter(), 0
    while rounds < 2 or time.perf_counter() - began < ANSWERS_SECONDS:
        predictor.probabilities(inputs)
        rounds += 1
    return latencies, rounds * len(inputs) / (time.perf_counter() - began), len(inputs)


def reached(job: Job) -> Generator[Phase, None, Reached]:
    """Train as the body says until the validation accuracy is there. Seconds: of all epochs, without compiling."""
    assert job.target is not None
    keep_compiled_programs(job.programs)
    dataset = dataset_of(job.hyperparams, job.data, job.data_dir)
    hyperparams = job.hyperparams.model_copy(update={"epochs": job.target_epochs})
    seconds, best = 0.0, 0.0
    share = 0.0
    for event in fit(job.architecture, hyperparams, dataset):
        yield "training to the target", share
        if isinstance(event, EpochMetrics):
            share = event.epoch / job.target_epochs
            seconds += event.epoch_time
            best = max(best, event.val_accuracy)
            if event.val_accuracy >= job.target:
                return {"seconds": seconds, "epoch": event.epoch, "best": best}
    return {"seconds": None, "epoch": None, "best": best}


def results_of(generator: Generator[Phase, None, Any]) -> Iterator[Phase | dict[str, Any]]:
    """The phases of a measurement, and at last what came of it."""
    found = yield from generator
    yield dict(found)
