"""Convolutions of operands rounded to bfloat16."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nets.numerics.convolve import convolve, convolve_bfloat16
from nets.numerics.windows import Geometry
from tests.nets.kernels.common import assert_near, convolutions, few, random


@pytest.mark.slow
@few
@given(convolutions(groups=st.integers(1, 3)))
def test_operands_are_rounded_in_both_directions(
    case: tuple[tuple[int, ...], tuple[int, ...], Geometry],
) -> None:
    """On whole numbers of few bits bfloat16 is exact: any difference would be a wrong gradient."""
    (channels, height, width, batch), kernel_shape, at = case
    x = jnp.round(random(batch, height, width, channels))
    kernel = jnp.round(random(*kernel_shape))

    def gradients(function: object) -> list[jax.Array]:
        def both(x: jax.Array, kernel: jax.Array) -> object:
            y, pull = jax.vjp(partial(function, at=at), x, kernel)
            return y, pull(jnp.round(random(*y.shape, seed=7)))

        return jax.tree.leaves(jax.jit(both)(x, kernel))

    narrow = gradients(lambda x, kernel, at: convolve_bfloat16(x, kernel, at))
    assert_near(narrow, gradients(lambda x, kernel, at: convolve(x, kernel, at)), 1e-6)
