"""Layers against what PyTorch gave: outputs, gradients, running statistics, and what weights start with."""

from __future__ import annotations

from functools import cache
from typing import Any

import jax
import numpy as np
import pytest

from nets.exchange.named import declared_arrays
from nets.kernels import plan_for
from tests.nets.parity.case import DRAWS, LEVELS, Arrays, Case, cases_of, every, families, recorded
from tests.nets.parity.ours import given_by, network_of, theirs

PLANS = {"xla": plan_for("cpu", training=False), "cpu": plan_for("cpu", training=True)}
FAR = 0.0316  # the distance of two samples of 10,000 from one distribution that one pair in 10,000 goes beyond


def cases(table: str) -> list[Any]:
    """Every case; but for the first of its family a slow test."""
    firsts = {(family, next(iter(cases_of(family, table)), None)) for family in families()}
    return [
        pytest.param(*one, marks=() if one[:2] in firsts else pytest.mark.slow, id=f"{one[0]}-{one[1]}")
        for one in every(table)
    ]


@cache
def recording(family: str) -> dict[str, Arrays]:
    return recorded(family)


# That both plans are alike is shown for each type every day, elsewhere.
@pytest.mark.parametrize(
    "plan",
    [pytest.param(plan, id=name, marks=pytest.mark.slow if name == "cpu" else ()) for name, plan in PLANS.items()],
)
@pytest.mark.parametrize(("family", "name", "case"), cases("CASES"))
def test_a_layer_gives_what_pytorch_gives(family: str, name: str, case: Case, plan: Any) -> None:
    expected, found = recording(family)[f"CASES {name}"], given_by(name, case, plan)
    without = {key for key in expected.keys() - found.keys() if key.startswith("train statistic")}  # counts of batches
    assert found.keys() == expected.keys() - without
    for key, value in found.items():
        wanted = expected[key].reshape(value.shape)
        far = np.abs(value - wanted).max(initial=0) / max(np.abs(wanted).max(initial=0), 1e-3)
        assert far <= case.within, (key, far)


@pytest.mark.parametrize(("family", "name", "case"), cases("INITIAL"))
def test_weights_start_as_those_of_pytorch(family: str, name: str, case: Case) -> None:
    expected, found = recording(family)[f"INITIAL {name}"], initial_of(case)
    assert found.keys() == expected.keys()
    for key, values in found.items():
        *quantiles, mean, deviation = expected[key]
        if quantiles[0] == quantiles[-1]:
            assert set(values.tolist()) == {quantiles[0]}, key
            continue
        assert abs(values.mean() - mean) < 0.06 * deviation, key
        assert values.std() == pytest.approx(deviation, rel=0.04), key
        assert distance(values, np.array(quantiles)) < FAR, key


def initial_of(case: Case) -> Arrays:
    """At least 10,000 draws of each parameter, by PyTorch's name."""
    found = {}
    for (collection, layer, key), declared in declared_arrays(network_of(case)).items():
        if collection == "params":
            times = -(-DRAWS // int(np.prod(declared.shape)))
            draws = [
                np.asarray(declared.init(jax.random.key(seed), declared.shape)).reshape(-1) for seed in range(times)
            ]
            found[theirs(case, f"{layer}.{declared.torch or key}")] = np.concatenate(draws)
    return found


def distance(values: np.ndarray, quantiles: np.ndarray) -> float:
    """Kolmogorov and Smirnov's, of a sample from the distribution that has these quantiles."""
    ordered = np.sort(values)
    below = np.interp(ordered, quantiles, LEVELS)
    steps = np.arange(len(ordered) + 1) / len(ordered)
    return float(max(np.abs(steps[1:] - below).max(), np.abs(steps[:-1] - below).max()))
