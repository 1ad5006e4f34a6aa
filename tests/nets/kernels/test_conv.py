"""Convolutions against XLA's own, gradients included."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from jax.typing import DTypeLike

from nets.kernels.cpu import blocks
from nets.kernels.cpu.bands import by_bands
from nets.kernels.cpu.blocks import by_blocks
from nets.kernels.cpu.by_rows import by_rows
from nets.kernels.cpu.conv import convolve
from nets.kernels.cpu.phase_conv import phase_convolve
from nets.kernels.cpu.pool_windows import corners
from nets.kernels.cpu.winograd import FEWEST_CHANNELS, fits, keeps_phases, winograd, winograd_image
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


def check_convolution(x_shape: tuple[int, ...], kernel_shape: tuple[int, ...], at: Geometry) -> None:
    x, kernel = random(*x_shape), random(*kernel_shape)
    found = value_and_gradients(lambda x, kernel: convolve(x, kernel, at, F32), x, kernel)
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
    assert blocks.fits((9, 9, 32, 64), same, size, 64)
    assert not blocks.fits((9, 9, 32, 64), same, size, 2)
    assert not blocks.fits((9, 9, 3, 64), same, (128, 128), 64)
    assert not blocks.fits((9, 9, 32, 64), Geometry(stride=(2, 2)), (64, 64), 64)


@pytest.mark.parametrize("outputs", [3, 8])
@pytest.mark.parametrize("groups", [1, 2])
def test_bfloat16_operands_stay_within_their_bound(outputs: int, groups: int) -> None:
    at = Geometry(padding=((1, 1), (1, 1)), groups=groups)
    x, kernel = random(8, 6, 6, 4), random(3, 3, 8 // groups, outputs // groups * groups)
    found = value_and_gradients(lambda x, kernel: convolve(x, kernel, at, BF16), x, kernel)
    assert all(array.dtype == F32 for array in found)
    assert_near(found, value_and_gradients(lambda x, kernel: lax_conv(x, kernel, at), x, kernel), BF16_BOUND)


@pytest.mark.parametrize(("dtype", "bound"), [(F32, 1e-5), (BF16, BF16_BOUND)])
@pytest.mark.parametrize(("size", "padding"), [((4, 6), 1), ((2, 2), 1), ((6, 4), 0)])
def test_winograd_equals_xlas(size: tuple[int, int], padding: int, dtype: DTypeLike, bound: float) -> None:
    at = Geometry(padding=((padding, padding), (padding, padding)))
    x, kernel = random(5, *size, 3), random(3, 3, 5, 4)
    assert keeps_phases(size, at)

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
    same, wide, size = Geometry(padding=((1, 1), (1, 1))), (3, 3, 16, 64), (28, 28)
    least = FEWEST_CHANNELS["float32"]
    assert fits(wide, same, size, least)
    assert keeps_phases((8, 6), same)
    assert not keeps_phases((7, 6), same) and not keeps_phases((8, 6), Geometry(padding=((0, 0), (1, 1))))
    assert not fits(wide, Geometry(stride=(2, 1)), size, least)
    assert not fits(wide, Geometry(dilation=(1, 2)), size, least)
    assert not fits((5, 5, 32, 64), Geometry(padding=((2, 2), (2, 2))), size, least)
    assert not fits((3, 3, 3, 64), same, size, least)


@pytest.mark.parametrize(("limits", "fewest"), [("float32", 8), ("halves", 24), ("vectors", 72), ("matrices", 1 << 20)])
def test_the_faster_products_are_the_more_channels_winograd_needs(limits: Any, fewest: int) -> None:
    for channels in (8, 24, 72, 256):
        kernel, same = (3, 3, channels, channels), Geometry(padding=((1, 1), (1, 1)))
        assert fits(kernel, same, (28, 28), FEWEST_CHANNELS[limits]) == (channels >= fewest)


@pytest.mark.parametrize(("limits", "larger"), [("float32", 9), ("halves", 13)])
def test_small_images_of_odd_size_are_left_to_patches(limits: Any, larger: int) -> None:
    """A row and a column computed for nothing cost more there than the products saved."""
    same, kernel, least = Geometry(padding=((1, 1), (1, 1))), (3, 3, 64, 64), FEWEST_CHANNELS[limits]
    assert not fits(kernel, same, (5, 5), least) and fits(kernel, same, (larger, larger), least)
    assert not fits(kernel, Geometry(), (7, 7), least)  # what comes out counts
    assert fits((3, 3, 128, 128), same, (larger, larger), least)
    if limits == "float32":
        assert fits((3, 3, 24, 64), same, (8, 8), least) and not fits((3, 3, 24, 64), same, (6, 6), least)


@pytest.mark.parametrize("size", [(6, 8), (7, 5)])
@pytest.mark.parametrize(("window", "padding"), [((3, 3), ((1, 1), (1, 1))), ((5, 2), ((0, 2), (1, 0)))])
def test_phase_convolution_gives_the_corners_of_every_window(
    size: tuple[int, int], window: tuple[int, int], padding: tuple[tuple[int, int], tuple[int, int]]
) -> None:
    x, kernel, at = random(2, *size, 3), random(*window, 2, 4), Geometry(padding=padding)

    def theirs(x: jax.Array, kernel: jax.Array) -> jax.Array:
        return jnp.stack(corners(lax_conv(x, kernel, at)))

    ours = value_and_gradients(lambda x, kernel: phase_convolve(x, kernel, at, F32, size), x, kernel)
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
