"""Strided convolutions as dense ones, against XLA's own."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given
from jax import Array
from jax.typing import DTypeLike

from nets.kernels.cpu import space_to_depth, winograd
from nets.kernels.cpu.convolution import convolve
from nets.kernels.cpu.layouts import image
from nets.kernels.cpu.machine import Machine
from nets.kernels.layouts import Laid, join
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


@pytest.mark.slow
@few
@given(pairs(1, 7), pairs(2, 4), pairs(1, 12), edges, edges)
def test_any_stride_equals_xlas(
    window: tuple[int, int],
    stride: tuple[int, int],
    size: tuple[int, int],
    rows: tuple[int, int],
    columns: tuple[int, int],
) -> None:
    at = Geometry(stride, (rows, columns))
    assume(min(at.places(size, window)) >= 1)
    x, kernel = random(4, *size, 2), random(*window, 4, 3)

    def ours(x: Array, kernel: Array) -> Array:
        return lax_conv(space_to_depth.dense_image(x, window, at), space_to_depth.dense_kernel(kernel, at), Geometry())

    found = value_and_gradients(ours, x, kernel)
    assert_near(found, value_and_gradients(lambda x, kernel: lax_conv(x, kernel, at), x, kernel))


@pytest.mark.parametrize(("kernel", "stride"), [(4, 2), (5, 2), (6, 2), (8, 2), (6, 3), (3, 3)])
def test_the_plan_takes_it(kernel: int, stride: int) -> None:
    at = Geometry((stride, stride), ((1, 2), (2, 0)))
    assert space_to_depth.possible(problem((kernel, kernel, 4, 8), at, (22, 21)))
    x, weights = random(4, 22, 21, 2), random(kernel, kernel, 4, 8)

    def ours(x: object, weights: object) -> object:
        return image(convolve(Machine(), Laid(x, "CHWB"), weights, at))

    assert_near(
        value_and_gradients(ours, x, weights),
        value_and_gradients(lambda x, kernel: lax_conv(x, kernel, at), x, weights),
    )


@pytest.mark.parametrize(("dtype", "bound"), [(F32, 1e-5), (BF16, BF16_BOUND)])
@pytest.mark.parametrize(("window", "stride"), [((5, 5), (2, 2)), ((5, 6), (2, 2)), ((7, 8), (3, 3)), ((5, 9), (2, 4))])
def test_winograd_leaves_out_what_only_meets_zeros(
    window: tuple[int, int], stride: tuple[int, int], dtype: DTypeLike, bound: float
) -> None:
    at = Geometry(stride, ((1, 2), (2, 0)))
    x, kernel = random(3, 13, 22, 2), random(*window, 3, 4)
    grid = space_to_depth.grid(problem((*window, 3, 4), at, (13, 22)))
    assert math.prod(grid.blocks_at(3, 3)) < math.prod(grid.blocks_at(0, 0)) == math.prod(stride)

    def ours(x: Array, kernel: Array) -> Array:
        phases = space_to_depth.dense_phases(x, window, at)
        height, width = at.places(x.shape[1:3], window)
        return join(winograd.winograd(phases, space_to_depth.dense_kernel(kernel, at), dtype, 0, grid))[
            :, :height, :width
        ]

    assert_near(
        value_and_gradients(ours, x, kernel),
        value_and_gradients(lambda x, kernel: lax_conv(x, kernel, at), x, kernel),
        bound,
    )


def test_strides_of_large_kernels_with_channels_of_their_own() -> None:
    def possible(kernel: tuple[int, ...], at: Geometry) -> bool:
        return space_to_depth.possible(problem(kernel, at))

    by_two = Geometry(stride=(2, 2))
    assert possible((4, 4, 8, 8), by_two) and possible((5, 5, 8, 8), by_two)
    assert not possible((3, 3, 8, 8), by_two)  # 4 x 4 with seven zeros
    assert not possible((4, 4, 3, 8), by_two)  # too few channels
    assert not possible((4, 4, 8, 8), Geometry(stride=(2, 1)))
    assert not possible((4, 4, 8, 8), Geometry(stride=(2, 2), groups=2))
    assert not possible((4, 4, 8, 8), Geometry(stride=(2, 2), dilation=(2, 2)))


def test_a_stride_stays_where_its_patches_are_few() -> None:
    def fits(window: int, outputs: int, side: int, precision: str = "float32") -> bool:
        by_two = Geometry((2, 2), ((3, 3), (3, 3)))
        return space_to_depth.fits(
            problem((window, window, 32, outputs), by_two, (side, side), machine=Machine(precision))
        )

    assert not fits(7, 40, 7)
    assert fits(8, 40, 7)  # no zeros in the dense kernel
    assert fits(7, 20, 28)  # 75 MiB of patches
    assert not fits(7, 20, 14)
    assert fits(7, 20, 14, "bfloat16")
