"""Dense layers as products, whichever side has to be transposed, against NumPy in float64."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.typing import DTypeLike

from nets.kernels.cpu.gemm import matmul_columns, matmul_rows, rounded
from tests.nets.kernels.common import assert_near, random, value_and_gradients


@pytest.mark.parametrize(("dtype", "bound"), [(jnp.float32, 1e-5), (jnp.bfloat16, 0.02)])
@pytest.mark.parametrize("outputs", [1, 4, 5, 24])
@pytest.mark.parametrize("form", ["columns", "rows"])
def test_a_product_and_its_gradients(form: str, outputs: int, dtype: DTypeLike, bound: float) -> None:
    """`[8, 40]` images of features and a kernel of few or of many outputs: with few, columns transpose the kernel."""
    x, kernel = random(8, 40), random(40, outputs)
    ways: dict[str, Callable[[jax.Array, jax.Array], jax.Array]] = {
        "columns": lambda x, kernel: matmul_columns(x.T, kernel, dtype),
        "rows": lambda x, kernel: matmul_rows(x, kernel, dtype),
    }
    found = value_and_gradients(ways[form], x, kernel)
    g = np.asarray(random(8, outputs, seed=7), np.float64)
    exact = [np.asarray(array, np.float64) for array in (x, kernel)]
    expected = [exact[0] @ exact[1], g @ exact[1].T, exact[0].T @ g]
    assert all(array.dtype == jnp.float32 for array in found)
    assert_near(found, [jnp.asarray(array, jnp.float32) for array in expected], bound)


def test_rounding_by_bits_is_rounding_to_the_nearest() -> None:
    """Against NumPy's: random bits, and what lies on and beside the middle of two neighbours, with either sign."""
    words = np.random.default_rng(0).integers(0, 1 << 32, 1 << 16, np.uint32)
    edges = [0, 1, 0x7FFF, 0x8000, 0x8001, 0x17FFF, 0x18000, 0x18001, 0x3F807FFF, 0x3F808000, 0x3F818000, 0x7F7FFFFF]
    edges += [0x7F800000, 0x7F7F7FFF, 0x7F7F8000]  # infinity, and what is and is not rounded up to it
    words = np.concatenate([words, np.array([*edges, *(edge | 1 << 31 for edge in edges)], np.uint32)])
    values = words.view(np.float32)[np.isfinite(words.view(np.float32)) | np.isinf(words.view(np.float32))]
    found = np.asarray(jax.jit(lambda x: rounded(x, jnp.bfloat16))(values))
    np.testing.assert_array_equal(found.view(np.uint16), values.astype(jnp.bfloat16).view(np.uint16))


def test_rounding_keeps_the_nan_that_arithmetic_gives() -> None:
    zero = jnp.zeros(2)
    given = jnp.stack([zero / zero, -(zero / zero), jnp.sqrt(zero - 1), jnp.full(2, jnp.inf) * zero])
    assert jnp.isnan(rounded(given, jnp.bfloat16)).all()
    assert rounded(zero, jnp.float32).dtype == jnp.float32
