"""`fit`: a generator that trains a network and tells what happens."""

from __future__ import annotations

import time
from collections.abc import Iterator

from nets.architecture.architecture import Architecture
from nets.datasets import Dataset
from nets.hyperparams.hyperparams import Hyperparams
from nets.kernels import Choice
from nets.training.cache import ProgramCache
from nets.training.compilation import compilation as summed_up
from nets.training.events import Compiled, Event, Progress
from nets.training.programs import compiling
from nets.training.sampling import draw
from nets.training.snapshot import Snapshot
from nets.training.trainer import Run, Trainer


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
    TrainingError: the loss left the finite numbers.
    """
    if resume is not None and resume.epoch > hyperparams.epochs:
        raise ValueError(f"{resume.epoch} epochs are done already, and {hyperparams.epochs} were asked for")
    split = draw(hyperparams, len(dataset.train_labels))
    run = Run(architecture, hyperparams, dataset, split, kernels=kernels)
    yield Progress("loading", 0.0, 0, hyperparams.epochs)
    began = time.perf_counter()
    cache = ProgramCache() if programs is None else programs
    compiled = yield from compiling(run.workload, cache, Progress("compiling", 0.0, 0, hyperparams.epochs))
    compilation = summed_up(compiled.origins, seconds=time.perf_counter() - began)
    yield Compiled(compilation)
    trainer = Trainer(run, compiled, resume)
    resume = None  # as large as the state that was made of it
    yield from trainer.clock.around(trainer.epochs())
    yield from trainer.clock.around(trainer.finish(compilation))
