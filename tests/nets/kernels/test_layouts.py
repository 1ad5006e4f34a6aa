"""The forms in which values pass between layers, and the ways between them."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from nets.kernels.cpu import layouts
from nets.kernels.cpu.layouts import Columns, Image, Phases, Pixels, Rows
from tests.nets.kernels.common import random


def test_an_image_is_the_same_in_every_form() -> None:
    x = random(3, 4, 6, 2)
    forms = Image(x), Phases(layouts.split(x)), Pixels(x.transpose(3, 1, 2, 0))
    for form in forms:
        assert layouts.shape_of(form) == (3, 4, 6, 2)
        np.testing.assert_array_equal(layouts.image(form), x)
        np.testing.assert_array_equal(layouts.join(layouts.phases(form)), x)
        np.testing.assert_array_equal(layouts.columns(form), x.reshape(-1, 2))
        np.testing.assert_array_equal(layouts.rows(form), x.reshape(-1, 2).T)


def test_features_are_the_same_in_both_forms() -> None:
    x = random(5, 3)
    for form in (Columns(x), Rows(x.T)):
        np.testing.assert_array_equal(layouts.columns(form), x)
        np.testing.assert_array_equal(layouts.rows(form), x.T)


def test_bytes_are_scaled_to_one() -> None:
    pixels = jnp.asarray([[[[0, 255]]]], jnp.uint8)
    np.testing.assert_allclose(layouts.image(Pixels(pixels)).ravel(), [0, 1], rtol=1e-6)
    np.testing.assert_allclose(layouts.rows(Pixels(pixels)).ravel(), [0, 1], rtol=1e-6)


def test_negative_padding_cuts() -> None:
    x = random(2, 4, 5, 3)
    np.testing.assert_array_equal(layouts.zero_pad(x, (-1, -1), (0, -2)), x[:, 1:3, :3])
    assert float(layouts.zero_pad(x, (1, 0), (0, 2))[:, 0].sum()) == 0
