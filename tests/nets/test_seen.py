"""What training sees of a batch, whole and in parts."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.hyperparams.hyperparams import parse_hyperparams
from nets.training.objective import Objective
from nets.training.seen import Seen, part_of
from nets.training.state import Data, RunNumbers
from tests.nets.builders import TINY_CNN, network, stripes

AUGMENT = [{"type": "random_crop", "padding": 2}, {"type": "mixup"}, {"type": "horizontal_flip"}, {"type": "cutmix"}]
ROWS = np.array([7, 3, 30, 11, 2, 40, 9, 1, 16, -1, -1, -1], np.int32)
CNN = network(*TINY_CNN)


def seen(parts: int, step: int = 5) -> list[Seen]:
    objective = Objective.of(parse_hyperparams({"augment": AUGMENT}), CNN)
    numbers = RunNumbers({}, {}, objective.numbers([20, 20, 20], steps_per_epoch=3), jax.random.key(0))
    dataset = stripes()
    data = Data(jnp.asarray(dataset.train_inputs), jnp.asarray(dataset.train_labels))
    program = jax.jit(partial(part_of, objective.structure()))
    rows = jnp.asarray(ROWS).reshape(parts, -1)
    return [program(data, rows, jnp.int32(part), jnp.int32(9), jnp.int32(step), numbers) for part in range(parts)]


@pytest.mark.slow
def test_parts_of_a_batch_see_what_the_whole_sees() -> None:
    """Also of partners in other parts; what fills the batch up is never one."""
    (whole,), parts = seen(1), seen(3)
    assert whole.mixed is not None
    for got, expected in zip(
        jax.tree.leaves(jax.tree.map(lambda *xs: np.concatenate(xs), *parts)), jax.tree.leaves(whole), strict=True
    ):
        assert np.array_equal(got[:9], expected[:9])
    labels = np.asarray(stripes().train_labels)
    assert np.array_equal(whole.labels[:9], labels[ROWS[:9]])
    assert sorted(whole.mixed.labels[:9].tolist()) == sorted(labels[ROWS[:9]].tolist())


@pytest.mark.slow
def test_the_label_that_counts_is_that_of_the_larger_share() -> None:
    (whole,) = seen(1)
    assert whole.mixed is not None
    expected = np.where(np.asarray(whole.mixed.share) >= 0.5, whole.labels, whole.mixed.labels)
    assert np.array_equal(whole.main, expected)
