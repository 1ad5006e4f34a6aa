"""Test samples as a person sees them."""

from __future__ import annotations

import numpy as np

from nets.training.samples import grey


def test_colours_become_grey() -> None:
    image = np.array([[[255, 255, 255], [255, 0, 0]]], np.uint8)
    assert grey(image).tolist() == [[255, 76]]
