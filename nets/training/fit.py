"""`fit`: a generator that trains a network and tells what happens."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator

from nets.architecture.architecture import Architecture
from nets.datasets import Dataset
from nets.hyperparams.hyperparams import Hyperparams
from nets.kernels import Choice
from nets.process.devices import placed
from nets.training.cache import ProgramCache
from nets.training.compilation import compilation as summed_up
from nets.training.events import Compiled, Event, Progress
from nets.training.programs import compiling
from nets.training.run import Run
from nets.training.sampling import draw
from nets.training.snapshot import Snapshot
from nets.training.trainer import Trainer
from nets.training.workload import device_of


def fit(
    architecture: Architecture,
    hyperparams: Hyperparams,
    dataset: Dataset,
    *,
    resume: Snapshot | None = None,
    programs: ProgramCache | None = None,
    kernels: Choice = "auto",
) -> Iterator[Event]:
    """Train, telling of every chunk and epoch; the last event is `Finished`.

    Nothing runs on behalf of the run between two `next()` calls but the chunk already dispatched, so closing the
    generator stops it. Same arguments, device and versions: the same numbers, to the last digit.
    `resume`: an epoch's end of an earlier run, after which this one goes on, to the same digits as if never stopped.
    `programs`: where compiled programs are kept for runs that need the same ones; without it each run compiles its own.
    `kernels`: which ones compute it, as `nets.kernels.plan_for` has them.
    Arrays and programs are on the device that `hyperparams` name; those of the caller stay where they are.
    TrainingError: the loss left the finite numbers. SpecError: the device is not here.
    """
    if resume is not None and resume.epoch > hyperparams.epochs:
        raise ValueError(f"{resume.epoch} epochs are done already, and {hyperparams.epochs} were asked for")
    cache = ProgramCache() if programs is None else programs
    events = _events(architecture, hyperparams, dataset, resume, cache, kernels)
    resume = None  # as large as the state that is made of it
    yield from placed(device_of(hyperparams), events)


def _events(
    architecture: Architecture,
    hyperparams: Hyperparams,
    dataset: Dataset,
    resume: Snapshot | None,
    cache: ProgramCache,
    kernels: Choice,
) -> Generator[Event]:
    """Those of `fit`, computed wherever JAX does for the thread that asks for them."""
    split = draw(hyperparams, len(dataset.train_labels))
    run = Run(architecture, hyperparams, dataset, split, kernels=kernels)
    yield Progress("loading", 0.0, 0, hyperparams.epochs)
    began = time.perf_counter()
    report = Progress("compiling", 0.0, 0, hyperparams.epochs)
    programs = yield from compiling(run.workload, cache, report, late=True)
    waited = time.perf_counter() - began
    try:
        yield Compiled(summed_up(programs.origins, seconds=waited))
        trainer = Trainer(run, programs, resume, waited)
        resume = None
        yield from trainer.clock.around(trainer.epochs())
        yield from trainer.clock.around(trainer.finish())
    finally:
        for late in programs.late:
            late.give_up()
