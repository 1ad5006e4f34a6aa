"""Convolutions of every channel by itself, as machine code: equal to XLA's, with their gradients."""

from __future__ import annotations

import jax
import pytest

from nets.kernels.cpu.convolution import choose
from nets.kernels.cpu.machine import Machine
from nets.kernels.cpu.native.channelwise import channelwise, fits
from nets.kernels.cpu.native.conv import available
from nets.numerics.windows import Geometry
from tests.nets.kernels.common import assert_equals_xlas, problem

NATIVE = Machine("float32", "full_width", native=True)

# Channels, results of each, height and width, batch, window, geometry.
CASES = [
    (3, 1, (7, 9), 64, (3, 3), Geometry(padding=((1, 1), (1, 1)))),
    (5, 2, (6, 5), 32, (5, 3), Geometry((2, 1), ((2, 1), (0, 2)))),
    (2, 3, (9, 20), 40, (2, 5), Geometry((1, 3), ((1, 0), (2, 2)), (2, 1))),
    (3, 1, (5, 4), 3, (7, 7), Geometry(padding=((3, 3), (3, 3)))),
    (2, 1, (1, 40), 16, (1, 9), Geometry(padding=((0, 0), (4, 4)), dilation=(1, 2))),
    (3, 1, (9, 9), 16, (2, 2), Geometry((3, 3))),
    (3, 1, (9, 9), 16, (3, 3), Geometry((2, 2), ((1, 1), (1, 1)), (2, 2))),
]


@pytest.mark.skipif(not available("float32"), reason="not on this processor")
@pytest.mark.parametrize("case", CASES, ids=str)
def test_it_equals_xlas(case: tuple[int, int, tuple[int, int], int, tuple[int, int], Geometry]) -> None:
    channels, each, size, batch, window, at = case
    at = Geometry(at.stride, at.padding, at.dilation, channels)

    def ours(x: jax.Array, kernel: jax.Array) -> jax.Array:
        return channelwise(x, kernel, at)

    assert_equals_xlas(ours, (channels, *size, batch), (*window, 1, channels * each), at)


def test_it_takes_one_channel_a_group_and_rows_that_are_not_too_long() -> None:
    at = Geometry(padding=((1, 1), (1, 1)), groups=8)
    assert choose(problem((3, 3, 1, 16), at, machine=NATIVE)).name == "channelwise"
    assert choose(problem((3, 3, 1, 8), at)).name == "depthwise"  # without machine code
    assert not fits(problem((3, 3, 2, 16), at, machine=NATIVE))
    assert not fits(problem((3, 3, 1, 8), at, size=(14, 400), machine=NATIVE))
    assert not fits(problem((3, 3, 1, 8), at, batch=20, machine=NATIVE))
