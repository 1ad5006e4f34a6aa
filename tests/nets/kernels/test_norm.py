"""Batch normalisation with what stands around it, against its definition and autodiff."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from nets.kernels.cpu.norm import NormOptions, batch_norm, norm_pool, pack, unpack
from nets.kernels.cpu.pool import max_pool
from nets.kernels.layouts import split
from nets.numerics.windows import Geometry
from tests.nets.kernels.common import OPTIONS, assert_near, random, value_and_gradients

EPS = 1e-5
FORMS = {"image": lambda x: x, "phases": split, "stacked": lambda x: jnp.stack(split(x))}


def definition(z: jax.Array, scale: jax.Array, bias: jax.Array) -> jax.Array:
    mean = z.mean((1, 2, 3), keepdims=True)
    var = jnp.square(z - mean).mean((1, 2, 3), keepdims=True)
    return (z - mean) * lax.rsqrt(var + EPS) * scale[:, None, None, None] + bias[:, None, None, None]


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("form", ["image", "phases"])
def test_norm_skip_relu(form: str, skip: bool, relu: bool) -> None:
    z, other, scale, bias = random(3, 4, 6, 2) + 5, random(3, 4, 6, 2, seed=1), random(3), random(3, seed=1)
    options, put = NormOptions(EPS, jnp.float32, relu_after=relu), FORMS[form]

    def ours(z: jax.Array, other: jax.Array, scale: jax.Array, bias: jax.Array) -> jax.Array:
        return jnp.stack(jax.tree.leaves(batch_norm(put(z), put(other) if skip else None, scale, bias, options)[0]))

    def theirs(z: jax.Array, other: jax.Array, scale: jax.Array, bias: jax.Array) -> jax.Array:
        y = definition(z, scale, bias) + (other if skip else 0)
        return jnp.stack(jax.tree.leaves(put(jax.nn.relu(y) if relu else y)))

    arguments = z, other, scale, bias
    assert_near(value_and_gradients(ours, *arguments), value_and_gradients(theirs, *arguments))


@pytest.mark.parametrize("relu", [None, "before", "after"])
@pytest.mark.parametrize("form", ["image", "phases", "stacked"])
def test_norm_pool(form: str, relu: str | None) -> None:
    z, before, scale, bias = random(4, 6, 4, 3), random(4), random(4, seed=2), random(4, seed=3)
    assert (scale < 0).any() and (scale > 0).any()
    options = NormOptions(EPS, jnp.float32, relu_before=relu == "before", relu_after=relu == "after")

    def ours(z: jax.Array, before: jax.Array, scale: jax.Array, bias: jax.Array) -> jax.Array:
        return norm_pool(FORMS[form](z), before if relu == "before" else None, scale, bias, options)[0]

    def theirs(z: jax.Array, before: jax.Array, scale: jax.Array, bias: jax.Array) -> jax.Array:
        z = jax.nn.relu(z + before[:, None, None, None]) if relu == "before" else z
        y = definition(z, scale, bias)
        return max_pool(jax.nn.relu(y) if relu == "after" else y, (2, 2), Geometry(stride=(2, 2)))

    arguments = z, before, scale, bias
    assert_near(value_and_gradients(ours, *arguments), value_and_gradients(theirs, *arguments))


def test_moments_of_values_far_from_zero() -> None:
    """A spread of 1 around 4,000: sums of plain squares would lose it."""
    z = random(2, 8, 8, 4) + 4000.0
    _, mean, var = jax.jit(lambda z: batch_norm(z, None, jnp.ones(2), jnp.zeros(2), NormOptions(EPS, jnp.float32)))(z)
    exact = np.asarray(z, np.float64)
    np.testing.assert_allclose(mean, exact.mean((1, 2, 3)), rtol=1e-6)
    np.testing.assert_allclose(var, exact.var((1, 2, 3)), rtol=1e-4)


def test_a_value_and_its_corner_share_a_word() -> None:
    value, which = random(64), jnp.arange(64, dtype=jnp.int8) % 4
    for dtype, error in ((jnp.float32, 2.4e-7), (jnp.bfloat16, 0)):
        rounded = value.astype(dtype).astype(jnp.float32)
        found, corner = jax.jit(lambda v, k, d=dtype: unpack(pack(v, k, d)), compiler_options=OPTIONS)(value, which)
        np.testing.assert_allclose(found, rounded, rtol=error)
        np.testing.assert_array_equal(corner, which)
