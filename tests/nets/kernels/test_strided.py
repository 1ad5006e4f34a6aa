"""Strided convolutions as dense ones, against XLA's own."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given
from jax import Array
from jax.typing import DTypeLike

from nets.kernels.cpu import CpuPlan, strided, winograd
from nets.kernels.cpu.layouts import Image, image, join
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
        return lax_conv(strided.dense_image(x, window, at), strided.dense_kernel(kernel, at), Geometry())

    found = value_and_gradients(ours, x, kernel)
    assert_near(found, value_and_gradients(lambda x, kernel: lax_conv(x, kernel, at), x, kernel))


@pytest.mark.parametrize(("kernel", "stride"), [(4, 2), (5, 2), (6, 2), (8, 2), (6, 3), (3, 3)])
def test_the_plan_takes_it(kernel: int, stride: int) -> None:
    at = Geometry((stride, stride), ((1, 2), (2, 0)))
    assert strided.fits((kernel, kernel, 4, 8), at)
    x, weights = random(4, 22, 21, 2), random(kernel, kernel, 4, 8)

    def ours(x: object, weights: object) -> object:
        y = CpuPlan().conv2d(Image(x), weights, None, stride=at.stride, padding=at.padding)
        return image(y)

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
    blocks = strided.blocks(window, at)
    assert math.prod(blocks.at(3, 3)) < math.prod(blocks.at(0, 0)) == math.prod(stride)

    def ours(x: Array, kernel: Array) -> Array:
        phases = strided.dense_phases(x, window, at)
        height, width = at.places(x.shape[1:3], window)
        return join(winograd.winograd(phases, strided.dense_kernel(kernel, at), dtype, 0, blocks))[:, :height, :width]

    assert_near(
        value_and_gradients(ours, x, kernel),
        value_and_gradients(lambda x, kernel: lax_conv(x, kernel, at), x, kernel),
        bound,
    )


def test_strides_of_large_kernels_with_channels_of_their_own() -> None:
    by_two = Geometry(stride=(2, 2))
    assert strided.fits((4, 4, 8, 8), by_two) and strided.fits((5, 5, 8, 8), by_two)
    assert not strided.fits((3, 3, 8, 8), by_two)  # 4 x 4 with seven zeros
    assert not strided.fits((4, 4, 3, 8), by_two)  # too few channels
    assert not strided.fits((4, 4, 8, 8), Geometry(stride=(2, 1)))
    assert not strided.fits((4, 4, 8, 8), Geometry(stride=(2, 2), groups=2))
    assert not strided.fits((4, 4, 8, 8), Geometry(stride=(2, 2), dilation=(2, 2)))


def test_a_stride_stays_where_its_patches_are_few() -> None:
    by_two = Geometry((2, 2), ((3, 3), (3, 3)))
    assert strided.stays((7, 7, 32, 40), by_two, F32, (7, 7), 64)
    assert not strided.stays((8, 8, 32, 40), by_two, F32, (7, 7), 64)  # no zeros in the dense kernel
    assert not strided.stays((7, 7, 32, 20), by_two, F32, (28, 28), 64)  # 75 MiB
    assert strided.stays((7, 7, 32, 20), by_two, F32, (14, 14), 64)
    assert not strided.stays((7, 7, 32, 20), by_two, BF16, (14, 14), 64)
