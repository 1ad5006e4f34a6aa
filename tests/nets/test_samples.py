"""Test samples as a person sees them."""

from __future__ import annotations

import numpy as np
import pytest

from nets.datasets import from_arrays
from nets.training.samples import grey, sample_predictions
from tests.nets.builders import stripes


def test_colours_become_grey() -> None:
    image = np.array([[[255, 255, 255], [255, 0, 0]]], np.uint8)
    assert grey(image).tolist() == [[255, 76]]


LOGITS = np.array([[0.0, 2.0, 1.0], [5.0, 0.0, 0.0]], np.float32)


def test_images_are_shown_with_what_the_network_makes_of_them() -> None:
    first, second = sample_predictions(stripes(), LOGITS)
    assert first.grid == stripes().test_inputs[0, ..., 0].tolist()
    assert (first.label, first.prediction) == (0, 1) and (second.label, second.prediction) == (1, 0)
    assert first.confidence == pytest.approx(np.exp(2) / (1 + np.exp(2) + np.exp(1)))


@pytest.mark.parametrize("inputs", [np.zeros((2, 5)), np.zeros((2, 7, 5)), np.zeros((2, 7), np.int64)])
def test_what_is_no_image_has_no_grid(inputs: np.ndarray) -> None:
    shown = sample_predictions(from_arrays(inputs, [0, 2], inputs, [0, 2]), LOGITS)
    assert [(each.grid, each.label, each.prediction) for each in shown] == [(None, 0, 1), (None, 2, 0)]
