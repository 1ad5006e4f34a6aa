"""Dense layers as products, whichever side has to be transposed, against NumPy in float64."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.typing import DTypeLike

from nets.kernels.cpu.gemm import matmul_columns, matmul_rows
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
