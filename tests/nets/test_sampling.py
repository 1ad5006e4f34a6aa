"""Which samples train and which validate, and in which order."""

from __future__ import annotations

from typing import Any

import numpy as np

from nets.hyperparams.hyperparams import Hyperparams, parse_hyperparams
from nets.training.sampling import batches, draw, epoch_order, split_sizes


def hyper(**fields: Any) -> Hyperparams:
    return parse_hyperparams({"train_split": 0.8, **fields})


def test_the_split_is_disjoint_and_a_function_of_the_seed() -> None:
    h = hyper(max_samples=50)
    split = draw(h, 60)
    assert (len(split.train), len(split.validation)) == split_sizes(h, 60) == (40, 10)
    assert len(set(split.train) | set(split.validation)) == 50
    assert np.array_equal(draw(h, 60).train, split.train)
    assert not np.array_equal(draw(hyper(max_samples=50, seed=1), 60).train, split.train)
    assert split_sizes(hyper(max_samples=None), 60) == (48, 12)
    assert split_sizes(hyper(max_samples=1000), 60) == (48, 12)


def test_the_order_changes_every_epoch_unless_told_not_to() -> None:
    h = hyper()
    assert not np.array_equal(epoch_order(h, 40, epoch=1), epoch_order(h, 40, epoch=2))
    assert sorted(epoch_order(h, 40, epoch=1)) == list(range(40))
    assert epoch_order(hyper(shuffle=False), 4, epoch=3).tolist() == [0, 1, 2, 3]
    assert batches(np.arange(5), 2).tolist() == [[0, 1], [2, 3], [4, -1]]
