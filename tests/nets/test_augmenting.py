"""What augmentations are expected to take."""

from __future__ import annotations

from typing import Any

from nets.hyperparams.hyperparams import parse_hyperparams
from nets.inspection import augmenting
from nets.training.workload import Workload, workload_of
from tests.nets.builders import TINY_CNN, network

CNN = network(*TINY_CNN)


def workload(*augment: dict[str, Any]) -> Workload:
    h = parse_hyperparams({"augment": list(augment), "batch_size": 16})
    return workload_of(CNN, h, train=64, samples=80)


def test_more_augmentations_take_more() -> None:
    nothing, one = workload(), workload({"type": "randaugment", "num_ops": 1})
    two = workload({"type": "randaugment", "num_ops": 2}, {"type": "horizontal_flip"})
    assert augmenting.seconds(nothing, 1000) == augmenting.held(nothing) == augmenting.compiling(nothing) == 0
    assert 1e-3 < augmenting.seconds(one, 1000) < augmenting.seconds(two, 1000) < 0.02
    assert augmenting.held(one) == 41 * 4 * 16 * 64 == augmenting.held(two)
    assert augmenting.compiling(two) > augmenting.compiling(one) > 0


def test_numbers_of_augmentations_compile_nothing() -> None:
    def crop(padding: int, p: float) -> Workload:
        return workload({"type": "random_crop", "padding": padding}, {"type": "horizontal_flip", "p": p})

    assert crop(4, 0.5) == crop(2, 1.0)
    assert crop(4, 0.5) != workload({"type": "random_crop", "mode": "reflect"}, {"type": "horizontal_flip"})
    assert workload({"type": "rotate", "degrees": 5}) == workload({"type": "rotate", "degrees": [0, 90], "p": 0.1})
