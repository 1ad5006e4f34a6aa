"""What a row takes of memory."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nets.kernels.cpu.convolution import footprint
from tests.nets.kernels.test_convolution import EXAMPLES


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_row_takes_less_memory_for_fewer_images(name: str) -> None:
    many = EXAMPLES[name]
    few = replace(many, batch=16)
    assert all(0 < less < more for less, more in zip(footprint(few), footprint(many), strict=True))
