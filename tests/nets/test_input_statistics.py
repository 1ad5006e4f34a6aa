"""Mean and deviation of samples: exact for grey values, per feature for numbers."""

from __future__ import annotations

import numpy as np

from nets.datasets.input_statistics import input_statistics


def test_grey_values_count_on_the_scale_from_0_to_1() -> None:
    images = np.random.default_rng(0).integers(0, 256, (20, 5, 6, 3), np.uint8)
    found = input_statistics(images)
    assert np.allclose(found["mean"], (images / 255).mean((0, 1, 2)), atol=1e-7)
    assert np.allclose(found["std"], (images / 255).std((0, 1, 2)), atol=1e-7)


def test_a_channel_of_one_value_deviates_by_one_grey_step() -> None:
    assert input_statistics(np.full((2, 8, 8, 1), 7, np.uint8))["std"] == np.float32(1 / 255)


def test_numbers_have_the_statistics_of_their_last_axis() -> None:
    scale, offset = np.array([1, 1000, 1e-3, 5], np.float32), np.array([0, -1e4, 0, 1e3], np.float32)
    rows = np.random.default_rng(0).normal(size=(500, 4)).astype(np.float32) * scale + offset
    for inputs in (rows, rows.reshape(50, 10, 4)):
        found = input_statistics(inputs)
        assert found["mean"].dtype == found["std"].dtype == np.float32
        assert np.allclose(found["mean"], rows.astype(np.float64).mean(0), rtol=1e-6)
        assert np.allclose(found["std"], rows.astype(np.float64).std(0), rtol=1e-5)


def test_a_feature_of_one_value_is_left_at_its_scale() -> None:
    assert input_statistics(np.full((9, 2), 3, np.float32))["std"].tolist() == [1, 1]
