"""The relu that a convolution's result and bias go through before the next product, against jax.nn's."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.typing import DTypeLike

from nets.kernels.cpu.relu import biased_relu
from nets.kernels.layouts import Laid, join, split
from tests.nets.kernels.common import assert_near, random, value_and_gradients


def ours(x: jax.Array, bias: jax.Array | None, form: str, dtype: DTypeLike) -> jax.Array:
    y = biased_relu(Laid(x, "CHWB") if form == "image" else Laid(split(x), "phases"), bias, dtype)
    return join(y.arrays) if y.layout == "phases" else y.array


def theirs(x: jax.Array, bias: jax.Array) -> jax.Array:
    return jax.nn.relu(x + bias[:, None, None, None])


@pytest.mark.parametrize(("dtype", "bound"), [(jnp.float32, 1e-5), (jnp.bfloat16, 2**-8)])
@pytest.mark.parametrize("form", ["image", "phases"])
def test_value_and_gradients(form: str, dtype: DTypeLike, bound: float) -> None:
    x, bias = random(3, 6, 4, 5), random(3)
    found = value_and_gradients(lambda x, bias: ours(x, bias, form, dtype), x, bias)
    assert all(array.dtype == jnp.float32 for array in found)
    assert_near(found, value_and_gradients(theirs, x, bias), bound)


def test_results_and_gradients_are_rounded_once() -> None:
    """What a next product by bands or patches would make of them anyway; a layer without a bias has none here."""
    x = random(3, 6, 4, 5)
    found = value_and_gradients(lambda x: ours(x, None, "image", jnp.bfloat16), x)
    for array, exact in zip(found, value_and_gradients(jax.nn.relu, x), strict=True):
        np.testing.assert_array_equal(array, exact.astype(jnp.bfloat16).astype(jnp.float32))
