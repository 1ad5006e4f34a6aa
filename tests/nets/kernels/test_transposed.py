"""Transposed convolutions by rows of the table: what XLA's gradient of a convolution gives, and its gradients."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import pytest

from nets.kernels.cpu.machine import Machine
from nets.kernels.cpu.transposed import transposed
from nets.numerics.windows import Geometry
from tests.nets.kernels.common import assert_near, lax_conv, random, value_and_gradients

CASES = {
    "by patches": ((4, 4), (3, 3), Geometry((2, 2), ((1, 0), (1, 0)))),
    "of groups": ((3, 5), (2, 3), Geometry((1, 2), ((0, 0), (1, 1)), groups=2)),
    "of one pixel": ((4, 3), (1, 1), Geometry((2, 2))),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_it_is_the_gradient_of_a_convolution(case: tuple[tuple[int, int], tuple[int, int], Geometry]) -> None:
    places, window, at = case
    size = tuple(
        (n - 1) * step + taps - sum(edge)
        for n, step, taps, edge in zip(places, at.stride, window, at.padding, strict=True)
    )
    x, kernel = random(6, *places, 4), random(*window, 2, 6)

    def theirs(x: jax.Array, kernel: jax.Array) -> jax.Array:
        nothing = jnp.zeros((2 * at.groups, *size, 4))
        return jax.vjp(lambda y: lax_conv(y, kernel, at), nothing)[1](x)[0]

    found = value_and_gradients(lambda x, kernel: transposed(x, kernel, at, (size[0], size[1]), Machine()), x, kernel)
    assert_near(found, value_and_gradients(theirs, x, kernel))
