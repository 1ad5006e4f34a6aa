"""Pooling against XLA's reduce_window and its gradient."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import pytest
from hypothesis import assume, given
from jax import lax

from nets.kernels.cpu.pool import max_pool, relu_pool
from nets.kernels.layouts import split
from nets.numerics import pooling
from nets.numerics.windows import Geometry
from tests.nets.kernels.common import assert_near, few, pairs, random, value_and_gradients


def lax_pool(x: jax.Array, window: tuple[int, int], at: Geometry) -> jax.Array:
    pad = ((0, 0), *at.padding, (0, 0))
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, *window, 1), (1, *at.stride, 1), pad)


@pytest.mark.slow
@few
@given(window=pairs(1, 4), stride=pairs(1, 4), padding=pairs(0, 2), size=pairs(2, 9))
def test_any_pool_equals_xlas(
    window: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int], size: tuple[int, int]
) -> None:
    at = Geometry(stride, ((padding[0], padding[0]), (padding[1], padding[1])))
    assume(all(2 * p <= k for p, k in zip(padding, window, strict=True)) and min(at.places(size, window)) >= 1)
    # Many equal values: the first of them must get the gradient.
    x = jnp.round(random(2, *size, 3))
    expected = value_and_gradients(lambda x: lax_pool(x, window, at), x)
    for ours in max_pool, pooling.max_pool:
        assert_near(value_and_gradients(lambda x, ours=ours: ours(x, window, at), x), expected)
    assert_near([jax.jit(lambda x: pooling.max_pool(x, window, at))(x)], expected[:1])


@pytest.mark.parametrize("size", [(6, 4), (7, 5)])
@pytest.mark.parametrize("form", ["image", "phases", "stacked"])
def test_relu_pool_in_every_form(size: tuple[int, int], form: str) -> None:
    height, width = (n // 2 * 2 for n in size) if form != "image" else size
    x, bias = random(3, height, width, 4), random(3)
    forms = {"image": lambda x: x, "phases": split, "stacked": lambda x: jnp.stack(split(x))}

    def theirs(x: jax.Array, bias: jax.Array) -> jax.Array:
        return lax_pool(jax.nn.relu(x + bias[:, None, None, None]), (2, 2), Geometry(stride=(2, 2)))

    found = value_and_gradients(lambda x, bias: relu_pool(forms[form](x), bias, jnp.float32), x, bias)
    assert_near(found, value_and_gradients(theirs, x, bias))
