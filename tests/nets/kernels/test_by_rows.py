"""Any convolution, row by row, against XLA's."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from nets.kernels.cpu import by_rows
from nets.numerics.windows import Geometry
from tests.nets.kernels.common import F32, assert_equals_xlas, convolutions, few, problem


@pytest.mark.slow
@few
@given(convolutions(groups=st.integers(1, 3)))
def test_any_convolution_equals_xlas(case: tuple[tuple[int, ...], tuple[int, ...], Geometry]) -> None:
    (_, height, width, _), kernel_shape, at = case
    assume(kernel_shape[:2] != (1, 1) or at.groups > 1)  # the pixels are the patches there: see `pointwise`
    assert_equals_xlas(lambda x, kernel: by_rows.by_rows(x, kernel, at, F32, (height, width)), *case)


def test_it_is_for_patches_too_large_to_keep() -> None:
    by_two = Geometry(stride=(2, 2))
    assert by_rows.fits(problem((11, 11, 32, 8), by_two, (64, 64)))
    assert not by_rows.fits(problem((11, 11, 32, 8), by_two, (64, 64), batch=1))
