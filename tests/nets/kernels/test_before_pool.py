"""A first convolution computed together with the pool behind it, against XLA's."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import pytest

from nets.kernels.cpu import before_pool
from nets.kernels.cpu.machine import Machine
from nets.kernels.cpu.pool_windows import corners
from nets.numerics.windows import Geometry
from tests.nets.kernels.common import F32, assert_near, lax_conv, problem, random, value_and_gradients


@pytest.mark.parametrize("size", [(6, 8), (7, 5)])
@pytest.mark.parametrize(("window", "padding"), [((3, 3), ((1, 1), (1, 1))), ((5, 2), ((0, 2), (1, 0)))])
def test_it_gives_the_corners_of_every_window(
    size: tuple[int, int], window: tuple[int, int], padding: tuple[tuple[int, int], tuple[int, int]]
) -> None:
    x, kernel, at = random(2, *size, 3), random(*window, 2, 4), Geometry(padding=padding)

    def theirs(x: jax.Array, kernel: jax.Array) -> jax.Array:
        return jnp.stack(corners(lax_conv(x, kernel, at)))

    ours = value_and_gradients(lambda x, kernel: before_pool.convolve(x, kernel, at, F32, size), x, kernel)
    assert_near(ours, value_and_gradients(theirs, x, kernel))


def test_it_is_for_few_channels_of_neighbouring_places_without_native_kernels() -> None:
    assert before_pool.fits(problem((5, 5, 3, 32)))
    assert not before_pool.fits(problem((5, 5, 4, 32)))
    assert not before_pool.fits(problem((5, 5, 3, 32), Geometry(stride=(2, 2))))
    assert not before_pool.fits(problem((5, 5, 3, 32), machine=Machine("float32", "full_width", native=True)))
