"""In which order axes lie, and the ways from one order to another."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from nets.kernels.cpu.layouts import image, phases, shape_of, zero_pad
from nets.kernels.layouts import WAYS, Laid, Layout, join, single, to
from tests.nets.kernels.common import random


def laid(layout: Layout) -> Laid:
    if "T" in layout:
        return to(Laid(random(2, 5, 3), "BTC"), layout)
    return to(Laid(random(3, 4, 6, 2), "CHWB") if layout not in ("BC", "CB") else Laid(random(5, 3), "CB"), layout)


@pytest.mark.parametrize(("before", "after"), WAYS)
def test_a_way_and_the_way_back(before: Layout, after: Layout) -> None:
    x = laid(before)
    back = to(to(x, after), before)
    jax.tree.map(np.testing.assert_array_equal, back, x)
    assert to(x, after).batch == x.batch


@pytest.mark.parametrize("layout", ["CHWB", "phases", "BHWC"])
def test_an_image_is_the_same_however_it_lies(layout: Layout) -> None:
    x = random(3, 4, 6, 2)
    assert shape_of(laid(layout)) == (3, 4, 6, 2)
    np.testing.assert_array_equal(image(laid(layout)), x)
    np.testing.assert_array_equal(join(phases(laid(layout))), x)
    assert single(laid(layout)).layout != "phases"


def test_what_lies_so_already_is_not_moved() -> None:
    x = laid("CHWB")
    assert to(x, "CHWB") is x and single(x) is x


def test_negative_padding_cuts() -> None:
    x = random(2, 4, 5, 3)
    np.testing.assert_array_equal(zero_pad(x, (-1, -1), (0, -2)), x[:, 1:3, :3])
    assert float(zero_pad(x, (1, 0), (0, 2))[:, 0].sum()) == 0
