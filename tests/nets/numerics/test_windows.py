"""Where windows go, and which of their taps ever meet a pixel."""

from __future__ import annotations

from hypothesis import assume, given

from nets.numerics.windows import Geometry
from tests.nets.kernels.common import assert_near, few, lax_conv, pairs, random, value_and_gradients


@few
@given(pairs(1, 7), pairs(1, 3), pairs(1, 3), pairs(1, 4), pairs(0, 6), pairs(0, 6))
def test_a_cropped_window_gives_the_same(
    window: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
    size: tuple[int, int],
    rows: tuple[int, int],
    columns: tuple[int, int],
) -> None:
    at = Geometry(stride, (rows, columns), dilation)
    assume(min(at.places(size, window)) >= 1)
    taps, cropped = at.cropped(size, window)
    assert min(*cropped.padding[0], *cropped.padding[1]) >= 0
    x, kernel = random(2, *size, 2), random(*window, 2, 3)
    assert_near(
        value_and_gradients(lambda x, kernel: lax_conv(x, kernel[taps], cropped), x, kernel),
        value_and_gradients(lambda x, kernel: lax_conv(x, kernel, at), x, kernel),
    )


def test_what_only_meets_padding_is_cropped() -> None:
    by_two = Geometry((2, 2), ((3, 3), (3, 3)))
    assert by_two.cropped((3, 3), (7, 7)) == ((slice(1, 6), slice(1, 6)), Geometry((2, 2), ((2, 2), (2, 2))))
    assert Geometry(padding=((3, 3), (2, 2))).cropped((1, 28), (7, 5))[0] == (slice(3, 4), slice(0, 5))
    assert Geometry(padding=((2, 2), (2, 2)), dilation=(2, 2)).cropped((1, 4), (3, 3))[0] == (slice(1, 2), slice(0, 3))
    assert by_two.cropped((8, 9), (7, 7)) == ((slice(0, 7), slice(0, 7)), by_two)
