"""im2col and col2im as matrices."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nets.kernels.cpu.patches import gather_patches, gather_windows, sum_patches
from nets.numerics.windows import Geometry
from tests.nets.kernels.common import convolutions, few, random


@pytest.mark.slow
@few
@given(convolutions(groups=st.integers(1, 3)))
def test_the_sum_is_the_transpose_of_the_patches(case: tuple[tuple[int, ...], tuple[int, ...], Geometry]) -> None:
    shape, kernel, at = case
    x = random(*shape)
    patches = gather_patches(x, kernel[:2], at)
    g = random(*patches.shape, seed=1)
    back = sum_patches(g, kernel[:2], at, shape)
    assert back.shape == shape
    assert float(jnp.vdot(patches, g)) == pytest.approx(float(jnp.vdot(x, back)), rel=1e-3, abs=1e-3)


def test_bfloat16_is_moved_bit_by_bit() -> None:
    x = random(2, 3, 3, 4).astype(jnp.bfloat16)
    patches = gather_patches(x, (2, 2), Geometry())
    assert patches.dtype == jnp.bfloat16 and patches.shape == (1, 8, 16)
    np.testing.assert_array_equal(patches[0, :2].reshape(2, 2, 2, 4), x[:, :2, :2])


def test_windows_are_gathered_from_a_row_on() -> None:
    x = random(2, 5, 4, 3)
    found = gather_windows(x, jnp.int32(1), [(0, 0), (2, 1)], (2, 3))
    np.testing.assert_array_equal(found.reshape(2, 2, 2, 3, 3), jnp.stack([x[:, 1:3, :3], x[:, 3:5, 1:4]]))
