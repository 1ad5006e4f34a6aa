"""The slices of an image that taps meet, and their transpose."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nets.numerics.im2col import col2im, slices
from nets.numerics.windows import Geometry
from tests.nets.kernels.common import convolutions, few, random


@pytest.mark.slow
@few
@given(convolutions(groups=st.just(1)))
def test_col2im_is_the_transpose_of_the_slices(case: tuple[tuple[int, ...], tuple[int, ...], Geometry]) -> None:
    shape, kernel, at = case
    window = kernel[:2]

    def padded_slices(x: jax.Array) -> list[jax.Array]:
        return list(slices(jnp.pad(x, ((0, 0), *at.padding, (0, 0))), window, at))

    taken, pull = jax.vjp(padded_slices, random(*shape))
    g = [random(*tap.shape, seed=i) for i, tap in enumerate(taken)]
    np.testing.assert_allclose(col2im(g, window, at, jnp.zeros(shape)), pull(g)[0], atol=1e-5)


def test_slices_come_in_reading_order() -> None:
    x = jnp.arange(9.0).reshape(1, 3, 3, 1)
    assert [float(tap[0, 0, 0, 0]) for tap in slices(x, (2, 2), Geometry())] == [0, 1, 3, 4]
