"""What every plan computes alike: dropout's mask, normalisation."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.numerics.normalise import keep_mask, normalised
from tests.nets.kernels.common import random


@pytest.mark.parametrize("rate", [0.0, 0.25, 1.0])
def test_a_mask_keeps_the_mean(rate: float) -> None:
    mask = keep_mask(jax.random.key(0), jnp.float32(rate), (100, 100))
    assert float(mask.mean()) == pytest.approx(0 if rate == 1 else 1, abs=0.02)
    assert {round(float(value), 5) for value in np.unique(mask)} <= {0, round(1 / max(1 - rate, 1e-9), 5)}


@pytest.mark.parametrize("axis", [0, 3])
def test_every_channel_gets_mean_zero_and_variance_one(axis: int) -> None:
    x = 3 * random(4, 5, 6, 4) + 1000
    y, moments = normalised(x, jnp.ones(4), jnp.zeros(4), axis=axis, eps=1e-5, running=None)
    others = tuple(i for i in range(4) if i != axis)
    np.testing.assert_allclose(y.mean(others), 0, atol=1e-3)
    np.testing.assert_allclose(y.var(others), 1, atol=1e-3)
    assert moments is not None and moments.count == 120
    np.testing.assert_allclose(moments.mean, x.mean(others), rtol=1e-6)
    np.testing.assert_allclose(moments.var, x.var(others), rtol=1e-3)


def test_running_moments_normalise_as_the_batch_s_own_do() -> None:
    x, ones = random(8, 3), jnp.ones(3)
    y, moments = normalised(x, ones, ones, axis=1, eps=1e-5, running=None)
    assert moments is not None
    again, none = normalised(x, ones, ones, axis=1, eps=1e-5, running=(moments.mean, moments.var))
    np.testing.assert_allclose(again, y, atol=1e-5)
    assert none is None
