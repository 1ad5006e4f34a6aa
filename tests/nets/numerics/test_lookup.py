"""Rows of a table, and gradients that come out the same every time."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from nets.numerics.lookup import by_product, by_scatter, by_sorting, lookup

WAYS: dict[str, Any] = {
    "scatter": by_scatter,
    "sorting": by_sorting,
    "product": lambda numbers, g, rows: by_product(numbers, g, rows, lax.Precision.HIGHEST),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize(("count", "rows"), [(1, 3), (37, 5), (9, 200)])
def test_rows_of_one_number_are_added(way: Any, count: int, rows: int) -> None:
    random = np.random.default_rng(count + rows)
    numbers, g = random.integers(0, rows, count), random.standard_normal((count, 4), np.float32)
    expected = np.zeros((rows, 4))
    np.add.at(expected, numbers, g.astype(np.float64))
    assert np.allclose(jax.jit(lambda numbers, g: way(numbers, g, rows))(numbers, g), expected, atol=1e-5)


def test_no_scatter_is_left_to_a_gpu() -> None:
    """Its threads would add in the order in which they come."""
    table, numbers = jnp.ones((2000, 4)), jnp.arange(6).reshape(2, 3)
    for rows in (20, 2000):
        for platform, scatters in (("gpu", False), ("tpu", False), ("cpu", True)):
            program = jax.make_jaxpr(jax.grad(lambda t, p=platform: lookup(t, numbers, len(t), p).sum()))(table[:rows])
            assert ("scatter" in str(program)) == scatters
