"""Convolutions against XLA's own, gradients included."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from jax.typing import DTypeLike

from nets.kernels.cpu import before_pool, blocks
from nets.kernels.cpu.bands import by_bands
from nets.kernels.cpu.blocks import by_blocks
from nets.kernels.cpu.by_rows import by_rows
from nets.kernels.cpu.convolution import convolve
from nets.kernels.cpu.layouts import Image, image
from nets.kernels.cpu.machine import Machine
from nets.kernels.cpu.pool_windows import corners
from nets.kernels.cpu.winograd import fits, keeps_phases, winograd, winograd_image
from nets.kernels.xla import plan as xla
from nets.numerics.windows import Geometry
from tests.nets.kernels.common import (
    BF16,
    BF16_BOUND,
    F32,
    assert_near,
    few,
    lax_conv,
    pairs,
    problem,
    random,
    value_and_gradients,
)

edges = pairs(0, 3)


@st.composite
def geometries(draw: st.DrawFn, *, groups: st.SearchStrategy[int]) -> tuple[tuple[int, ...], tuple[int, ...], Geometry]:
    """(shape of x, shape of the kernel, geometry) with at least one place for the kernel."""
    at = Geometry(draw(pairs(1, 3)), (draw(edges), draw(edges)), draw(pairs(1, 2)), draw(groups))
    window, size = draw(pairs(1, 5)), draw(pairs(3, 9))
    assume(min(at.places(size, window)) >= 1)
    depth, outputs = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    return (depth * at.groups, *size, 2), (*window, depth, outputs * at.groups), at


def by_products(x: jax.Array, kernel: jax.Array, at: Geometry, precision: str) -> jax.Array:
    return image(convolve(Machine(precision), Image(x), kernel, at))


def check_convolution(x_shape: tuple[int, ...], kernel_shape: tuple[int, ...], at: Geometry) -> None:
    x, kernel = random(*x_shape), random(*kernel_shape)
    found = value_and_gradients(lambda x, kernel: by_products(x, kernel, at, "float32"), x, kernel)
    assert_near(found, value_and_gradients(lambda x, kernel: lax_conv(x, kernel, at), x, kernel))


@few
@given(geometries(groups=st.just(1)))
def test_any_convolution_equals_xlas(case: tuple[tuple[int, ...], tuple[int, ...], Geometry]) -> None:
    check_convolution(*case)


@few
@given(geometries(groups=st.integers(2, 4)))
def test_grouped_and_depthwise_convolutions_equal_xlas(
    case: tuple[tuple[int, ...], tuple[int, ...], Geometry],
) -> None:
    check_convolution(*case)


@few
@given(geometries(groups=st.integers(1, 3)))
def test_any_convolution_row_by_row_equals_xlas(case: tuple[tuple[int, ...], tuple[int, ...], Geometry]) -> None:
    x_shape, kernel_shape, at = case
    assume(kernel_shape[:2] != (1, 1) or at.groups > 1)  # the pixels are the patches there: see `pointwise`
    x, kernel, size = random(*x_shape), random(*kernel_shape), (x_shape[1], x_shape[2])
    found = value_and_gradients(lambda x, kernel: by_rows(x, kernel, at, F32, size), x, kernel)
    assert_near(found, value_and_gradients(lambda x, kernel: lax_conv(x, kernel, at), x, kernel))


@pytest.mark.parametrize("at", [Geometry(), Geometry(stride=(2, 3), padding=((1, 0), (2, 1)))])
def test_pointwise_convolution_equals_xlas(at: Geometry) -> None:
    check_convolution((5, 6, 7, 3), (1, 1, 5, 4), at)


@pytest.mark.parametrize("function", [by_bands, by_blocks])
@pytest.mark.parametrize(("window", "padding"), [((3, 3), ((1, 1), (1, 1))), ((2, 5), ((0, 3), (3, 0)))])
def test_rows_at_a_time(
    function: Callable[..., jax.Array], window: tuple[int, int], padding: tuple[tuple[int, int], tuple[int, int]]
) -> None:
    x, kernel, at = random(4, 7, 6, 3), random(*window, 4, 3), Geometry(padding=padding)
    found = value_and_gradients(lambda x, kernel: function(x, kernel, at, F32), x, kernel)
    assert_near(found, value_and_gradients(lambda x, kernel: lax_conv(x, kernel, at), x, kernel))


def test_blocks_are_for_many_patches_of_neighbouring_places() -> None:
    same, size = Geometry(padding=((4, 4), (4, 4))), (14, 14)
    assert blocks.fits(problem((9, 9, 32, 64), same, size, 64))
    assert not blocks.fits(problem((9, 9, 32, 64), same, size, 2))
    assert not blocks.fits(problem((9, 9, 3, 64), same, (128, 128), 64))
    assert not blocks.fits(problem((9, 9, 32, 64), Geometry(stride=(2, 2)), (64, 64), 64))


@pytest.mark.parametrize("outputs", [3, 8])
@pytest.mark.parametrize("groups", [1, 2])
def test_bfloat16_operands_stay_within_their_bound(outputs: int, groups: int) -> None:
    at = Geometry(padding=((1, 1), (1, 1)), groups=groups)
    x, kernel = random(8, 6, 6, 4), random(3, 3, 8 // groups, outputs // groups * groups)
    found = value_and_gradients(lambda x, kernel: by_products(x, kernel, at, "bfloat16"), x, kernel)
    assert all(array.dtype == F32 for array in found)
    assert_near(found, value_and_gradients(lambda x, kernel: lax_conv(x, kernel, at), x, kernel), BF16_BOUND)


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


@pytest.mark.parametrize("size", [(6, 8), (7, 5)])
@pytest.mark.parametrize(("window", "padding"), [((3, 3), ((1, 1), (1, 1))), ((5, 2), ((0, 2), (1, 0)))])
def test_phase_convolution_gives_the_corners_of_every_window(
    size: tuple[int, int], window: tuple[int, int], padding: tuple[tuple[int, int], tuple[int, int]]
) -> None:
    x, kernel, at = random(2, *size, 3), random(*window, 2, 4), Geometry(padding=padding)

    def theirs(x: jax.Array, kernel: jax.Array) -> jax.Array:
        return jnp.stack(corners(lax_conv(x, kernel, at)))

    ours = value_and_gradients(lambda x, kernel: before_pool.convolve(x, kernel, at, F32, size), x, kernel)
    assert_near(ours, value_and_gradients(theirs, x, kernel))


@few
@given(geometries(groups=st.integers(1, 3)))
def test_the_xla_plan_rounds_operands_in_both_directions(
    case: tuple[tuple[int, ...], tuple[int, ...], Geometry],
) -> None:
    """On whole numbers of few bits bfloat16 is exact: any difference would be a wrong gradient."""
    (channels, height, width, batch), kernel_shape, at = case
    x = jnp.round(random(batch, height, width, channels))
    kernel = jnp.round(random(*kernel_shape))

    def gradients(function: object) -> list[jax.Array]:
        def both(x: jax.Array, kernel: jax.Array) -> object:
            y, pull = jax.vjp(partial(function, at=at), x, kernel)
            return y, pull(jnp.round(random(*y.shape, seed=7)))

        return jax.tree.leaves(jax.jit(both)(x, kernel))

    narrow = gradients(lambda x, kernel, at: xla.convolve_bfloat16(x, kernel, at))
    assert_near(narrow, gradients(lambda x, kernel, at: xla.convolve(x, kernel, at)), 1e-6)
