"""Losses: the same on every platform."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.losses import LOSSES, loss_on


@pytest.mark.parametrize("name", LOSSES)
def test_accelerators_compute_the_same_without_a_scatter(name: str) -> None:
    logits = jnp.asarray(np.random.default_rng(0).normal(scale=20, size=(6, 5)), jnp.float32)
    labels = jnp.asarray([0, 4, 2, 2, 1, 3])
    found, expected = (
        jax.vjp(lambda x, loss=loss: loss(x, labels), logits) for loss in (loss_on("gpu", name), loss_on("cpu", name))
    )
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(found[1](jnp.ones(6))[0], expected[1](jnp.ones(6))[0], rtol=1e-6, atol=1e-6)
    gradient = jax.jit(jax.grad(lambda x: loss_on("gpu", name)(x, labels).sum()))
    assert "scatter" not in gradient.lower(logits).as_text()
