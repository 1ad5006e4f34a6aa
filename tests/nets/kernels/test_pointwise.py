"""1 x 1 convolutions against XLA's."""

from __future__ import annotations

import pytest

from nets.kernels.cpu.pointwise import pointwise
from nets.numerics.windows import Geometry
from tests.nets.kernels.common import F32, assert_equals_xlas


@pytest.mark.parametrize("at", [Geometry(), Geometry(stride=(2, 3), padding=((1, 0), (2, 1)))])
def test_it_equals_xlas(at: Geometry) -> None:
    assert_equals_xlas(lambda x, kernel: pointwise(x, kernel, at, F32), (5, 6, 7, 3), (1, 1, 5, 4), at)
