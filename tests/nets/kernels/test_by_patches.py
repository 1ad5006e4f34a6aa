"""Any convolution by its patches against XLA's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nets.kernels.cpu.by_patches import by_patches
from nets.numerics.windows import Geometry
from tests.nets.kernels.common import F32, assert_equals_xlas, convolutions, few


@pytest.mark.slow
@few
@given(convolutions(groups=st.integers(1, 4)))
def test_any_convolution_equals_xlas(case: tuple[tuple[int, ...], tuple[int, ...], Geometry]) -> None:
    (_, height, width, _), _, at = case
    assert_equals_xlas(lambda x, kernel: by_patches(x, kernel, at, F32, (height, width)), *case)
