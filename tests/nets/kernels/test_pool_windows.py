"""The four places of a 2 x 2 window, in all three forms."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.kernels.cpu.pool_windows import channel_sums, corners, form, largest, unpool_windows
from nets.kernels.layouts import split
from tests.nets.kernels.common import random

FORMS = {"image": lambda x: x, "phases": split, "stacked": lambda x: jnp.stack(split(x))}


@pytest.mark.parametrize("name", FORMS)
def test_gradients_go_to_the_largest_as_it_came(name: str) -> None:
    z = FORMS[name](random(3, 4, 6, 2))
    (value, which), g = largest(corners(z)), random(3, 2, 3, 2)
    back = unpool_windows(g, which, form(z))
    assert jax.tree.map(jnp.shape, back) == jax.tree.map(jnp.shape, z)
    np.testing.assert_array_equal(sum(corners(back)), g)
    assert float(jnp.vdot(jnp.stack(corners(back)), jnp.stack(corners(z)))) == pytest.approx(float(jnp.vdot(g, value)))
    np.testing.assert_allclose(channel_sums(back), g.sum((1, 2, 3)), rtol=1e-5)


def test_an_odd_last_row_and_column_belong_to_no_window() -> None:
    z = random(2, 5, 3, 4)
    assert {corner.shape for corner in corners(z)} == {(2, 2, 1, 4)}
    value, which = largest(corners(z))
    back = unpool_windows(value, which, form(z))
    assert back.shape == z.shape and not back[:, 4].any() and not back[:, :, 2].any()


def test_the_first_of_equals_is_the_largest() -> None:
    assert int(largest(corners(jnp.ones((1, 2, 2, 1))))[1][0, 0, 0, 0]) == 0
