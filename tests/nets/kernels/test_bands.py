"""Convolutions from patches of single rows against XLA's."""

from __future__ import annotations

import pytest

from nets.kernels.cpu.bands import by_bands, fits
from nets.kernels.cpu.machine import Machine
from nets.numerics.windows import Geometry
from tests.nets.kernels.common import F32, assert_equals_xlas, problem


@pytest.mark.parametrize(("window", "padding"), [((3, 3), ((1, 1), (1, 1))), ((2, 5), ((0, 3), (3, 0)))])
def test_it_equals_xlas(window: tuple[int, int], padding: tuple[tuple[int, int], tuple[int, int]]) -> None:
    at = Geometry(padding=padding)
    assert_equals_xlas(lambda x, kernel: by_bands(x, kernel, at, F32), (4, 7, 6, 3), (*window, 4, 3), at)


def test_it_is_for_bfloat16_rows_and_channels_to_sum() -> None:
    narrow = Machine("bfloat16")
    assert fits(problem((3, 3, 4, 8), machine=narrow)) and not fits(problem((3, 3, 4, 8)))
    assert not fits(problem((1, 3, 4, 8), machine=narrow)) and not fits(problem((3, 3, 3, 8), machine=narrow))
    assert not fits(problem((3, 3, 4, 8), Geometry(stride=(1, 2)), machine=narrow))
