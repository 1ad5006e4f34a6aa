"""What is known of a convolution before it is traced."""

from __future__ import annotations

from nets.kernels.cpu.machine import Machine
from nets.kernels.cpu.problem import ConvProblem
from nets.numerics.windows import Geometry


def test_sizes_of_what_it_reads_and_writes() -> None:
    at = Geometry((2, 1), ((1, 1), (0, 2)), groups=2)
    p = ConvProblem.of((3, 3, 4, 6), at, (8, 10), 16, Machine("bfloat16"))
    assert (p.window, p.depth, p.inputs, p.outputs, p.places, p.item) == ((3, 3), 4, 8, 6, (4, 10), 2)
    assert p.image_values == 8 * 8 * 10 * 16 and p.padded_values == 8 * 10 * 12 * 16
    assert p.result_values == 6 * 4 * 10 * 16 and p.patch_values == 9 * 8 * 4 * 10 * 16
    assert p.row_values == 9 * 8 * 10 * 16


def test_equal_problems_are_one_key() -> None:
    one, other = (ConvProblem.of([3, 3, 4, 6], Geometry(), [8, 8], 16, Machine()) for _ in "ab")
    assert one == other and len({one, other}) == 1


def test_taps_that_only_meet_padding_are_left_out() -> None:
    p = ConvProblem.of((7, 7, 1, 1), Geometry((2, 2), ((3, 3), (3, 3))), (3, 3), 1, Machine())
    assert p.kernel == (5, 5, 1, 1) and p.geometry.padding == ((2, 2), (2, 2)) and p.places == (2, 2)
