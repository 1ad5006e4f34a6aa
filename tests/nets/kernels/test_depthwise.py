"""Convolutions of every channel by itself against XLA's."""

from __future__ import annotations

import pytest

from nets.kernels.cpu.depthwise import depthwise, fits
from nets.numerics.windows import Geometry
from tests.nets.kernels.common import assert_equals_xlas, problem


@pytest.mark.parametrize(
    "at", [Geometry(padding=((1, 2), (2, 0)), groups=4), Geometry((2, 3), ((1, 0), (0, 3)), (2, 1), groups=4)]
)
def test_it_equals_xlas(at: Geometry) -> None:
    assert_equals_xlas(lambda x, kernel: depthwise(x, kernel, at), (4, 7, 9, 3), (3, 2, 1, 4), at)


def test_one_channel_and_one_result_a_group() -> None:
    assert fits(problem((3, 3, 1, 4), Geometry(groups=4)))
    assert not fits(problem((3, 3, 1, 8), Geometry(groups=4))) and not fits(problem((3, 3, 2, 4), Geometry(groups=4)))
    assert not fits(problem((3, 3, 1, 1)))
