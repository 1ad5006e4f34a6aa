"""Convolutions by Toom-Cook along a row: the transforms by themselves, and the whole against XLA's own."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from nets.kernels.cpu import limits, toom_cook
from nets.kernels.cpu.convolution import convolve
from nets.kernels.cpu.machine import Machine
from nets.kernels.layouts import Laid
from nets.numerics.windows import Geometry
from tests.nets.kernels.common import assert_near, few, lax_conv, pairs, problem, random, value_and_gradients

SIZES = [(m, taps) for taps in range(4, 8) for m in range(1, 10 - taps)]
edges = pairs(0, 4)


@pytest.mark.parametrize(("outputs", "taps"), SIZES)
def test_transforms_give_a_correlation(outputs: int, taps: int) -> None:
    pixels, weights, to_outputs = toom_cook.transforms(outputs, taps)
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=outputs + taps - 1), rng.normal(size=taps)
    found = to_outputs.T @ ((pixels @ x) * (weights @ w))
    np.testing.assert_allclose(found, np.correlate(x, w, "valid"), atol=2e-6)


@pytest.mark.parametrize(
    ("width", "taps", "outputs", "count"), [(14, 5, 4, 4), (6, 5, 3, 2), (15, 4, 5, 3), (14, 7, 2, 7), (1, 5, 1, 1)]
)
def test_a_row_is_cut_for_the_fewest_products(width: int, taps: int, outputs: int, count: int) -> None:
    cut = toom_cook.Tiles.of(width, taps)
    assert (cut.outputs, cut.count) == (outputs, count)
    assert cut.width >= width + taps - 1


def check(x: jax.Array, kernel: jax.Array, at: Geometry) -> None:
    found = value_and_gradients(lambda x, kernel: toom_cook.toom_cook(x, kernel, at), x, kernel)
    assert_near(found, value_and_gradients(lambda x, kernel: lax_conv(x, kernel, at), x, kernel))


@pytest.mark.slow
@few
@given(
    st.tuples(st.integers(1, 5), st.integers(4, 7)),
    st.tuples(st.integers(1, 9), st.integers(1, 13)),
    st.integers(1, 3),
    edges,
    edges,
)
def test_any_size_and_padding(
    window: tuple[int, int], size: tuple[int, int], batch: int, rows: tuple[int, int], columns: tuple[int, int]
) -> None:
    at = Geometry(padding=(rows, columns))
    assume(min(at.places(size, window)) >= 1)
    check(random(3, *size, batch), random(*window, 3, 2), at)


@pytest.mark.parametrize(("size", "padding"), [((2, 5), ((4, 3), (6, 1))), ((1, 1), ((3, 3), (5, 5)))])
def test_windows_that_fit_into_the_padding(
    size: tuple[int, int], padding: tuple[tuple[int, int], tuple[int, int]]
) -> None:
    check(random(3, *size, 2), random(3, 4, 3, 2), Geometry(padding=padding))


def test_blocks_of_rows_meet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "TOOM_COOK_BLOCK_BYTES", 1440)
    values = 5 * 2 * 3  # rows of a window, tiles, images: for every channel
    assert toom_cook.RowBlocks.of(7, 3 * values) == toom_cook.RowBlocks(rows=4, count=2)  # of the result, 3 inputs
    assert toom_cook.RowBlocks.of(7, 4 * values) == toom_cook.RowBlocks(rows=3, count=3)  # of the gradient, 4 outputs
    check(random(3, 7, 8, 3), random(5, 5, 3, 4), Geometry(padding=((2, 2), (2, 2))))


def fits(kernel: tuple[int, ...], at: Geometry = Geometry(), size: tuple[int, int] = (14, 14)) -> bool:  # noqa: B008
    return toom_cook.fits(problem(kernel, at, size))


def test_wide_kernels_of_neighbouring_places_and_many_channels() -> None:
    same, kernel = Geometry(padding=((2, 2), (2, 2))), (5, 5, 16, 32)
    assert fits(kernel, same)
    assert not fits((5, 3, 16, 32), same) and not fits((5, 9, 16, 32), same)
    assert not fits((5, 5, 3, 32), same)
    assert not fits(kernel, Geometry(stride=(1, 2)))
    assert not fits(kernel, Geometry(groups=2))


def test_not_where_few_outputs_are_left() -> None:
    assert fits((5, 5, 16, 120), size=(12, 12))
    assert not fits((5, 5, 16, 120), size=(5, 5))
    assert not fits((28, 5, 16, 16), size=(28, 28))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_bfloat16_does_without(precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounded values at many points would lose three times as much as rounded pixels."""
    asked: list[tuple[int, ...]] = []
    monkeypatch.setattr(toom_cook, "toom_cook", lambda x, kernel, at: asked.append(kernel.shape) or x)
    same = Geometry(padding=((2, 2), (2, 2)))
    convolve(Machine(precision), Laid(random(8, 8, 8, 2), "CHWB"), random(5, 5, 8, 8), same)
    assert bool(asked) == (precision == "float32")
