"""What layers ask of a platform, in the precision of a run."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np

from nets.numerics.numerics import Numerics
from nets.numerics.windows import Geometry


def test_widened_products_are_those_of_bfloat16() -> None:
    """Up to the order in which they are summed: in float32 both."""
    random = np.random.default_rng(0)
    x, kernel = (jnp.asarray(random.normal(size=size), jnp.float32) for size in ((5, 9, 9, 7), (3, 3, 7, 11)))
    rounded = kernel.astype(jnp.bfloat16).astype(jnp.float32)
    narrow = Numerics("bfloat16")
    both = (narrow, kernel), (replace(narrow, widened=True), rounded)
    convolved = [jax.jit(lambda x, k, by=by: by.convolve(x, k, Geometry()))(x, k) for by, k in both]
    np.testing.assert_allclose(*convolved, rtol=1e-5, atol=1e-5)
    dense = [jax.jit(lambda x, k, by=by: by.dot(x, k))(x[:, 0, 0], k[0, 0]) for by, k in both]
    np.testing.assert_allclose(*dense, rtol=1e-5, atol=1e-5)
