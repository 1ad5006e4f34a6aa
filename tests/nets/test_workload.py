"""What programs depend on, and how large a dispatch of them is."""

from __future__ import annotations

from typing import Any, get_args

import jax
import numpy as np
import pytest

from nets.hyperparams.hyperparams import Hyperparams, parse_hyperparams
from nets.kernels import Choice, XlaPlan
from nets.network import initial_variables
from nets.optimizers import OPTIMIZERS
from nets.training.pace import BACKWARD, LONGEST_PART, sample_seconds
from nets.training.programs import start
from nets.training.workload import Workload, workload_of, workload_on
from tests.nets.builders import network, stripes


def hyper(**fields: Any) -> Hyperparams:
    return parse_hyperparams({"batch_size": 8, "train_split": 0.8, **fields})


def test_no_dispatch_of_a_heavy_network_is_estimated_to_take_long() -> None:
    heavy = network(
        *[{"type": "conv2d", "out_channels": 256, "kernel_size": 3, "padding": "same"}] * 3,
        {"type": "linear", "out": 10},
        shape=(1, 28, 28),
    )
    for batch in (64, 65_536):
        w = workload_of(heavy, hyper(batch_size=batch, max_samples=None), train=54_000, samples=70_000)
        each = sample_seconds(w.steps.network)
        assert w.cut and w.part < 64 and w.part * each < LONGEST_PART
        assert w.evaluation_batch * w.first_evaluation() * each / BACKWARD < LONGEST_PART


def of(dropout: float, norm: bool = False, **fields: Any) -> Workload:
    layers = [{"type": "batchnorm2d"}] if norm else []
    a = network(*layers, {"type": "dropout", "p": dropout}, {"type": "linear", "out": 3})
    return workload_on(a, hyper(**fields), stripes().info)


SGD = {"type": "sgd", "lr": 0.1, "momentum": 0.9}


def test_runs_that_differ_in_numbers_alone_have_one_workload() -> None:
    one = of(0.1, optimizer=SGD, seed=1, epochs=1)
    assert one == of(0.7, optimizer={**SGD, "lr": 1, "momentum": 0.5}, seed=2, epochs=9, shuffle=False)
    assert hash(one) == hash(of(0.7, optimizer=SGD))


@pytest.mark.parametrize(
    "fields",
    [
        {"optimizer": {**SGD, "momentum": 0}},
        {"optimizer": {"type": "adam"}},
        {"batch_size": 9},
        {"precision": "bfloat16"},
    ],
)
def test_what_changes_a_program_changes_the_workload(fields: dict[str, Any]) -> None:
    assert of(0.1, optimizer=SGD) != of(0.1, **{"optimizer": SGD, **fields})


def test_the_choice_of_kernels_changes_the_workload_and_its_plan() -> None:
    a, h = network({"type": "linear", "out": 3}), hyper()
    made = [workload_on(a, h, stripes().info, kernels=kernels) for kernels in get_args(Choice)]
    assert len(set(made)) == 3 and made[0] == workload_on(a, h, stripes().info)
    assert [isinstance(each.steps.network.plan, XlaPlan) for each in made] == [False, False, True]


def test_only_a_network_that_looks_across_the_batch_sees_the_true_last_batch() -> None:
    assert (of(0.1).tail, of(0.1, norm=True).tail) == (0, 48 % 8) == (0, 0)
    assert (of(0.1, batch_size=10).tail, of(0.1, norm=True, batch_size=10).tail) == (0, 8)


def test_the_last_batch_is_computed_by_what_compiles_soonest_and_no_other() -> None:
    made = of(0.1, norm=True, batch_size=10)
    whole, last = made.steps_on(10), made.steps_on(8)
    assert whole == made.steps and last.network.plan == made.steps.network.plan.seldom
    assert (whole.update, whole.objective) == (last.update, last.objective)


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_the_state_as_shapes_is_that_of_a_run(kind: str) -> None:
    workload = of(0.1, norm=True, optimizer={"type": kind})
    state = start(workload, initial_variables(workload.graph, seed=0))
    found = jax.tree.map(lambda leaf: (leaf.shape, np.dtype(leaf.dtype)), state)
    assert found == jax.tree.map(lambda leaf: (leaf.shape, np.dtype(leaf.dtype)), workload.state())
