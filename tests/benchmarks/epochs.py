"""Train epochs on demand, through exactly the code that the server uses: one side of a race between frameworks.

usage: python -m tests.benchmarks.epochs BODY.json [--precision float32|bfloat16] [--batch N] [--arrays FILE.npz]

BODY is a request body of POST /api/train; the data set comes from LAMINA_DATA_DIR, or from the `inputs` and `labels` of
FILE. Prints READY after a warm-up epoch, then for every line on standard input trains one epoch and prints `<images per second> <mean training loss>`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from backend.config import settings_from
from nets import parse_architecture, parse_hyperparams
from nets.architecture.architecture import Architecture
from nets.datasets import Dataset, from_arrays, load
from nets.hyperparams.hyperparams import Hyperparams
from nets.process.device import prepare_process
from nets.training.cache import ProgramCache
from nets.training.programs import compiling
from nets.training.run import Run
from nets.training.sampling import draw
from nets.training.sums import Sums
from nets.training.trainer import Trainer


def result(generator: Generator[Any, None, Any]) -> Any:
    """What a generator returns, its events dropped."""
    while True:
        try:
            next(generator)
        except StopIteration as stop:
            return stop.value


def trainer(body: dict[str, Any], *, precision: str, batch: int | None, data: Dataset | None = None) -> Trainer:
    """A compiled run of `body` before its first epoch. data: instead of the data set that it names."""
    overrides = {"precision": precision, **({"batch_size": batch} if batch else {})}
    hyperparams = parse_hyperparams({**body["hyperparams"], **overrides})
    dataset = data or data_of(hyperparams)
    split = draw(hyperparams, len(dataset.train_labels))
    run = Run(parse_architecture(body["architecture"]), hyperparams, dataset, split)
    return Trainer(run, result(compiling(run.workload, ProgramCache(), None)))


def data_of(h: Hyperparams) -> Dataset:
    """What a body trains on, from LAMINA_DATA_DIR. DataError where it is not there."""
    return load(h.dataset_type or "mnist", settings_from({}, os.environ).data_dir)


def of_arrays(path: Path, a: Architecture) -> Dataset:
    """The samples of a file, and one of them to test on."""
    found = np.load(path)
    inputs, labels, classes = found["inputs"], found["labels"], [str(number) for number in range(a.graph.classes)]
    vocabulary = a.graph.input.vocabulary
    return from_arrays(inputs, labels, inputs[:1], labels[:1], classes=classes, vocabulary=vocabulary)


def epochs(trainer: Trainer) -> Iterator[tuple[float, float]]:
    """One epoch per item: images per second and mean training loss."""
    while True:
        trainer.epoch += 1
        began = time.perf_counter()
        sums: Sums = result(trainer.train_epoch(trainer.rows()))
        yield sums.samples / (time.perf_counter() - began), sums.mean_loss


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("body", type=Path)
    arguments.add_argument("--precision", default="float32", choices=["float32", "bfloat16"])
    arguments.add_argument("--batch", type=int)
    arguments.add_argument("--arrays", type=Path)
    a = arguments.parse_args()
    prepare_process()  # as the server does
    body = json.loads(a.body.read_text())
    data = of_arrays(a.arrays, parse_architecture(body["architecture"])) if a.arrays else None
    race = epochs(trainer(body, precision=a.precision, batch=a.batch, data=data))
    next(race)
    print("READY", flush=True)
    for _ in sys.stdin:
        speed, loss = next(race)
        print(f"{speed:.1f} {loss:.4f}", flush=True)


if __name__ == "__main__":
    main()
