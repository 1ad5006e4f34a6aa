"""What every plan computes alike: scales of images, dropout's mask, normalisation."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.numerics.normalise import keep_mask, normalised, scaled_images
from tests.nets.kernels.common import random


def test_bytes_are_scaled_and_floats_stay() -> None:
    np.testing.assert_allclose(scaled_images(jnp.asarray([0, 51, 255], jnp.uint8)), [0, 0.2, 1], rtol=1e-6)
    np.testing.assert_array_equal(scaled_images(jnp.asarray([0.25, 2.0])), [0.25, 2.0])


@pytest.mark.parametrize("rate", [0.0, 0.25, 1.0])
def test_a_mask_keeps_the_mean(rate: float) -> None:
    mask = keep_mask(jax.random.key(0), jnp.float32(rate), (100, 100))
    assert float(mask.mean()) == pytest.approx(0 if rate == 1 else 1, abs=0.02)
    assert {round(float(value), 5) for value in np.unique(mask)} <= {0, round(1 / max(1 - rate, 1e-9), 5)}


@pytest.mark.parametrize("axis", [0, 3])
def test_every_channel_gets_mean_zero_and_variance_one(axis: int) -> None:
    x = 3 * random(4, 5, 6, 4) + 1000
    y, moments = normalised(x, jnp.ones(4), jnp.zeros(4), axis=axis, eps=1e-5, running=None, shift=None)
    others = tuple(i for i in range(4) if i != axis)
    np.testing.assert_allclose(y.mean(others), 0, atol=1e-3)
    np.testing.assert_allclose(y.var(others), 1, atol=1e-3)
    assert moments is not None and moments.count == 120
    np.testing.assert_allclose(moments.mean, x.mean(others), rtol=1e-6)
    np.testing.assert_allclose(moments.var, x.var(others), rtol=1e-3)


def test_a_bias_left_out_before_moves_only_the_mean() -> None:
    x, shift, ones = random(8, 3), jnp.asarray([1.0, -2.0, 3.0]), jnp.ones(3)
    plain, moments = normalised(x, ones, ones, axis=1, eps=1e-5, running=None, shift=None)
    shifted, moved = normalised(x, ones, ones, axis=1, eps=1e-5, running=None, shift=shift)
    assert moments is not None and moved is not None
    np.testing.assert_array_equal(plain, shifted)
    np.testing.assert_allclose(moved.mean, moments.mean + shift, rtol=1e-6)
    running = moved.mean, moved.var
    np.testing.assert_allclose(
        normalised(x, ones, ones, axis=1, eps=1e-5, running=running, shift=shift)[0], plain, atol=1e-5
    )
