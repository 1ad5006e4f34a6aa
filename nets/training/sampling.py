"""Which samples train, which validate, and in which order: pure functions of the seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from nets.hyperparams.hyperparams import Hyperparams

Indices = Int[np.ndarray, " samples"]
DRAW, ORDER = 1, 2  # streams of random numbers that must not meet


@dataclass(frozen=True)
class Split:
    """Rows of the training set: those to train on, those to validate on."""

    train: Indices
    validation: Indices


def split_sizes(hyperparams: Hyperparams, available: int) -> tuple[int, int]:
    """How many samples train and validate, of the `available` ones."""
    drawn = min(hyperparams.max_samples or available, available)
    train = int(drawn * hyperparams.train_split)
    return train, drawn - train


def steps_per_epoch(hyperparams: Hyperparams, train: int) -> int:
    """How many steps an epoch takes that trains on so many samples."""
    return -(-train // samples_per_step(hyperparams, train)) if train else 1


def samples_per_step(hyperparams: Hyperparams, train: int) -> int:
    """How many of so many samples make a step of the optimizer, but for the last one of an epoch."""
    return min(hyperparams.batch_size * hyperparams.accumulate, train)


def draw(hyperparams: Hyperparams, available: int) -> Split:
    """`max_samples` of the training set without replacement, cut in two by `train_split`."""
    train, validation = split_sizes(hyperparams, available)
    rows = np.random.default_rng([hyperparams.seed, DRAW]).permutation(available)
    return Split(rows[:train], rows[train : train + validation])


def epoch_order(hyperparams: Hyperparams, count: int, *, epoch: int) -> Indices:
    """The order in which an epoch visits its samples: a new one each epoch, or 0, 1, 2, ... without `shuffle`."""
    if not hyperparams.shuffle:
        return np.arange(count)
    return np.random.default_rng([hyperparams.seed, ORDER, epoch]).permutation(count)


def batches(rows: Indices, size: int) -> Int[np.ndarray, "steps size"]:
    """Rows in batches of `size`; the last one is filled up with -1."""
    steps = -(-len(rows) // size)
    filled = np.full(steps * size, -1, np.int32)
    filled[: len(rows)] = rows
    return filled.reshape(steps, size)
