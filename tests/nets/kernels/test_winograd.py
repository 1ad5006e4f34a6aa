"""Winograd's F(2x2, 3x3) against XLA's convolutions, and when its transforms pay."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import pytest
from jax.typing import DTypeLike

from nets.kernels.cpu.bands import by_bands
from nets.kernels.cpu.machine import Machine
from nets.kernels.cpu.pool_windows import corners
from nets.kernels.cpu.winograd import fits, keeps_phases, winograd, winograd_image
from nets.numerics.windows import Geometry
from tests.nets.kernels.common import BF16, BF16_BOUND, F32, assert_near, lax_conv, problem, random, value_and_gradients


@pytest.mark.parametrize(("dtype", "bound"), [(F32, 1e-5), (BF16, BF16_BOUND)])
@pytest.mark.parametrize(("size", "padding"), [((4, 6), 1), ((2, 2), 1), ((6, 4), 0)])
def test_winograd_equals_xlas(size: tuple[int, int], padding: int, dtype: DTypeLike, bound: float) -> None:
    at = Geometry(padding=((padding, padding), (padding, padding)))
    x, kernel = random(5, *size, 3), random(3, 3, 5, 4)
    assert keeps_phases(problem((3, 3, 5, 4), at, size))

    def ours(x: jax.Array, kernel: jax.Array) -> jax.Array:
        return jnp.stack(winograd(corners(x), kernel, dtype, padding))

    def theirs(x: jax.Array, kernel: jax.Array) -> jax.Array:
        return jnp.stack(corners(lax_conv(x, kernel, at)))

    assert_near(value_and_gradients(ours, x, kernel), value_and_gradients(theirs, x, kernel), bound)


def test_rounded_tiles_cost_less_than_twice_what_rounded_pixels_do() -> None:
    x, kernel, at = random(32, 8, 8, 8), random(3, 3, 32, 32), Geometry(padding=((1, 1), (1, 1)))
    exact = value_and_gradients(lambda x, kernel: lax_conv(x, kernel, at), x, kernel)
    tiles = value_and_gradients(lambda x, kernel: winograd_image(x, kernel, at, BF16), x, kernel)
    pixels = value_and_gradients(lambda x, kernel: by_bands(x, kernel, at, BF16), x, kernel)
    for ours, plain, truth in zip(tiles, pixels, exact, strict=True):
        assert float(jnp.square(ours - truth).mean()) < 2**2 * float(jnp.square(plain - truth).mean())


@pytest.mark.parametrize("size", [(5, 7), (8, 5)])
@pytest.mark.parametrize("padding", [((0, 0), (0, 0)), ((1, 2), (0, 3))])
def test_winograd_of_any_size_and_padding(
    size: tuple[int, int], padding: tuple[tuple[int, int], tuple[int, int]]
) -> None:
    x, kernel, at = random(2, *size, 3), random(3, 3, 2, 3), Geometry(padding=padding)
    found = value_and_gradients(lambda x, kernel: winograd_image(x, kernel, at, F32), x, kernel)
    assert_near(found, value_and_gradients(lambda x, kernel: lax_conv(x, kernel, at), x, kernel))


def test_winograd_is_for_three_by_three_kernels_of_many_channels() -> None:
    same, wide = Geometry(padding=((1, 1), (1, 1))), (3, 3, 16, 64)
    assert fits(problem(wide, same))
    assert not fits(problem(wide, Geometry(stride=(2, 1))))
    assert not fits(problem(wide, Geometry(dilation=(1, 2))))
    assert not fits(problem((5, 5, 32, 64), Geometry(padding=((2, 2), (2, 2)))))
    assert not fits(problem((3, 3, 3, 64), same))
    assert keeps_phases(problem(wide, same, (8, 6)))
    assert not keeps_phases(problem(wide, same, (7, 6)))
    assert not keeps_phases(problem(wide, Geometry(padding=((0, 0), (1, 1))), (8, 6)))


UNITS = [
    (Machine("float32"), 8),
    (Machine("bfloat16", "double_pumped"), 24),
    (Machine("bfloat16", "full_width"), 72),
    (Machine("bfloat16", "amx"), 1 << 20),
]


@pytest.mark.parametrize(("machine", "fewest"), UNITS)
def test_the_faster_products_are_the_more_channels_winograd_needs(machine: Machine, fewest: int) -> None:
    same = Geometry(padding=((1, 1), (1, 1)))
    for channels in (8, 24, 72, 256):
        found = fits(problem((3, 3, channels, channels), same, (28, 28), machine=machine))
        assert found == (channels >= fewest)


@pytest.mark.parametrize(("machine", "larger"), [(Machine("float32"), 9), (Machine("bfloat16"), 13)])
def test_small_images_of_odd_size_are_left_to_patches(machine: Machine, larger: int) -> None:
    """A row and a column computed for nothing cost more there than the products saved."""

    def winograds(channels: tuple[int, int], side: int, padding: int = 1) -> bool:
        at = Geometry(padding=((padding, padding), (padding, padding)))
        return fits(problem((3, 3, *channels), at, (side, side), machine=machine))

    assert not winograds((64, 64), 5) and winograds((64, 64), larger)
    assert not winograds((64, 64), 7, padding=0)  # what comes out counts
    assert winograds((128, 128), larger)
    if machine.precision == "float32":
        assert winograds((24, 64), 8) and not winograds((24, 64), 6)
