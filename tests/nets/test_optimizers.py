"""What every optimizer has; parity/test_optimizers.py has where each of them goes."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest

from nets.optimizers import OPTIMIZERS, Optimizer
from nets.training.update import scalars
from tests.nets.parity.trajectories import AROUND, BY_FORMULA, CASES

ALONE = [case for case in (*CASES, *BY_FORMULA) if not {*AROUND} & {*case}]


def parsed(case: dict[str, Any]) -> Optimizer:
    return OPTIMIZERS.parse(case, ("optimizer",))


@pytest.mark.parametrize("case", ALONE, ids=str)
def test_an_optimizer_begins_with_zeros_or_with_what_it_says(case: dict[str, Any]) -> None:
    """`nets.training.programs.start` builds the state of zeros and `begin`, without compiling anything."""
    optimizer, params = parsed(case), {"layer": {"kernel": np.ones((2, 3), np.float32), "bias": np.ones(3, np.float32)}}
    transform = optimizer.transform(scalars(optimizer.numbers()))
    zeros = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), jax.eval_shape(transform.init, params))
    begun, wanted = optimizer.begin(zeros, params), transform.init(params)
    assert jax.tree.structure(begun) == jax.tree.structure(wanted)
    assert all(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(begun), jax.tree.leaves(wanted), strict=True))
    assert optimizer.averages == any(np.any(leaf) for leaf in jax.tree.leaves(begun))


@pytest.mark.parametrize("case", ALONE, ids=str)
def test_another_number_is_no_other_structure(case: dict[str, Any]) -> None:
    other = {name: value * 0.9 if isinstance(value, float) else value for name, value in case.items()}
    other["lr"] = 0.9 * case.get("lr", 0.1)
    assert parsed(case) != parsed(other)
    assert parsed(case).structure() == parsed(other).structure()
    assert parsed(case).numbers().keys() == parsed(case).structure().numbers().keys()
