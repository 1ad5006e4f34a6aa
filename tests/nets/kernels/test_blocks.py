"""Convolutions of one row of results at a time against XLA's."""

from __future__ import annotations

import pytest

from nets.kernels.cpu.blocks import by_blocks, fits
from nets.kernels.cpu.machine import Machine
from nets.numerics.windows import Geometry
from tests.nets.kernels.common import F32, assert_equals_xlas, problem


@pytest.mark.parametrize(("window", "padding"), [((3, 3), ((1, 1), (1, 1))), ((2, 5), ((0, 3), (3, 0)))])
def test_it_equals_xlas(window: tuple[int, int], padding: tuple[tuple[int, int], tuple[int, int]]) -> None:
    at = Geometry(padding=padding)
    assert_equals_xlas(lambda x, kernel: by_blocks(x, kernel, at, F32), (4, 7, 6, 3), (*window, 4, 3), at)


def test_it_is_for_many_patches_of_neighbouring_places() -> None:
    same, large = Geometry(padding=((4, 4), (4, 4))), (9, 9, 32, 64)
    assert fits(problem(large, same))
    assert not fits(problem(large, same, batch=2))
    assert not fits(problem((9, 9, 3, 64), same, (128, 128)))
    assert not fits(problem(large, Geometry(stride=(2, 2)), (64, 64)))
    assert not fits(problem(large, same, machine=Machine("bfloat16")))
