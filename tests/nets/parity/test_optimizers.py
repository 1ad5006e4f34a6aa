"""Optimizers against what PyTorch's gave: where weights go in 20 steps."""

from __future__ import annotations

from functools import cache
from typing import Any

import jax
import numpy as np
import optax
import pytest

from nets.optimizers import OPTIMIZERS
from nets.training.update import scalars
from tests.nets.parity.trajectories import CASES, KEPT, STEPS, Arrays, Json, gradients, initial, name_of, recorded

TELLING = [next(case for case in CASES if case["type"] == kind) for kind in ("radam", "muon")]
NEAR = 1e-5  # relative, of the largest number of an array


@cache
def recording() -> dict[str, list[Arrays]]:
    return recorded()


def trajectory(case: Json) -> list[Any]:
    """The weights after each step of `KEPT`."""
    optimizer = OPTIMIZERS.parse(case, ("optimizer",))
    weights: Any = jax.device_put(initial())
    numbers = scalars(optimizer.numbers())
    state = optimizer.transform(numbers).init(weights)

    @jax.jit
    def step(gradients: Any, state: Any, weights: Any) -> Any:
        updates, state = optimizer.transform(numbers).update(gradients, state, weights)
        return state, optax.apply_updates(weights, updates)

    found = []
    for number in range(1, STEPS + 1):
        state, weights = step(gradients(number, jax.device_get(weights)), state, weights)
        if number in KEPT:
            found.append(jax.device_get(weights))
    return found


def cases() -> list[Any]:
    """All of them; those that say least in the slow suite."""
    return [pytest.param(case, marks=() if case in TELLING else pytest.mark.slow, id=name_of(case)) for case in CASES]


@pytest.mark.parametrize("case", cases())
def test_an_optimizer_goes_where_pytorch_s_goes(case: Json) -> None:
    for step, ours, theirs in zip(KEPT, trajectory(case), recording()[name_of(case)], strict=True):
        for layer, own in theirs.items():
            for name, wanted in own.items():
                far = np.abs(ours[layer][name] - wanted).max() / np.abs(wanted).max()
                assert far <= NEAR, (step, layer, name, far)
