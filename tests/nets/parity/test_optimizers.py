"""Optimizers against what PyTorch's gave, or the rules of their papers: where weights go in 20 steps."""

from __future__ import annotations

from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.hyperparams.hyperparams import parse_hyperparams
from nets.optimizers import OPTIMIZERS
from nets.training.update import Update
from tests.nets.builders import network
from tests.nets.parity import formulas
from tests.nets.parity.trajectories import (
    AROUND,
    BY_FORMULA,
    CASES,
    KEPT,
    STEPS,
    Arrays,
    Json,
    gradients,
    initial,
    name_of,
    recorded,
)

NET = network(  # whose layers have the arrays of `SHAPES`, and more
    {"type": "conv2d", "name": "conv", "out_channels": 3, "kernel_size": 2},
    {"type": "batchnorm2d", "name": "norm"},
    {"type": "linear", "name": "head", "out": 3},
)
TELLING = [next(case for case in CASES if case["type"] == kind) for kind in ("radam", "muon")] + [
    next(case for case in CASES if "lookahead" in case)
]
NEAR = 1e-5  # relative, of the largest number of an array


@cache
def recording() -> dict[str, list[Arrays]]:
    return recorded()


def trajectory(case: Json) -> list[Any]:
    """The weights after each step of `KEPT`."""
    own = {name: value for name, value in case.items() if name not in AROUND}
    around = {name: case[name] for name in AROUND if name in case}
    update = Update.of(parse_hyperparams({"optimizer": own, **around}), NET.graph)
    weights: Any = jax.device_put(initial())
    numbers = update.numbers()
    state = update.begin(jax.jit(update.init)(weights), weights)

    @jax.jit
    def step(gradients: Any, state: Any, weights: Any) -> Any:
        updates, state = update.updates(gradients, state, weights, jnp.int32(0), numbers)
        return state, update.added(weights, updates)

    found = []
    for number in range(1, STEPS + 1):
        state, weights = step(gradients(number, jax.device_get(weights)), state, weights)
        if number in KEPT:
            found.append(jax.device_get(weights))
    return found


def cases(of: list[Json]) -> list[Any]:
    """All of them; those that say least in the slow suite."""
    return [pytest.param(case, marks=() if case in TELLING else pytest.mark.slow, id=name_of(case)) for case in of]


def far(ours: list[Any], theirs: list[Arrays]) -> float:
    """The largest difference, relative to the largest number of an array."""
    pairs = [
        (mine[layer][name], x)
        for mine, wanted in zip(ours, theirs, strict=True)
        for layer, own in wanted.items()
        for name, x in own.items()
    ]
    return max(np.abs(mine - wanted).max() / np.abs(wanted).max() for mine, wanted in pairs)


def test_every_optimizer_has_something_to_be_held_against() -> None:
    everything = [*CASES, *BY_FORMULA]
    assert {case["type"] for case in everything} == {*OPTIMIZERS}
    decaying = {case["type"] for case in everything if case.get("weight_decay")}
    assert decaying == {kind for kind, cls in OPTIMIZERS.items() if cls.decays}


@pytest.mark.parametrize("case", cases(CASES))
def test_an_optimizer_goes_where_pytorch_s_goes(case: Json) -> None:
    assert far(trajectory(case), recording()[name_of(case)]) <= NEAR


@pytest.mark.parametrize("case", cases(BY_FORMULA))
def test_an_optimizer_goes_where_its_paper_says(case: Json) -> None:
    assert far(trajectory(case), formulas.trajectory(case)) <= NEAR
