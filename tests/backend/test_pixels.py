"""Images out of JSON: how they may come."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from backend.errors import Unprocessable
from backend.inference.pixels import read_batch, read_image
from backend.parsing.strict_json import Rows


@pytest.mark.parametrize("kind", [list, Rows])
@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ([[0.0, 1.0, 0.5], [0.0, 0.0, 2.0]], r"batch\[1\]\[2\]: must be a number from 0 to 1, got 2.0; divide"),
        ([[0.0, 1.0, 0.5], [0.0]], r"batch\[1\]: must have 3 values like the list before it, got 1"),
        ([[0.0], [0.0]], "batch: must be 3 numbers .* each, got 1"),
    ],
)
def test_rows_of_floats_are_refused_as_any_list_is(kind: type[list[Any]], batch: list[Any], message: str) -> None:
    with pytest.raises(Unprocessable, match=message):
        read_batch(kind(batch), shape=(1, 1, 3))


@pytest.mark.parametrize("kind", [list, Rows])
def test_what_rounding_leaves_beyond_0_and_1_is_0_and_1(kind: type[list[Any]]) -> None:
    rounded = read_batch(kind([[-1e-7, 1.0000001, 0.5], [0, 1, -0.0]]), shape=(1, 1, 3))
    assert rounded.ravel().tolist() == [0, 1, 0.5, 0, 1, 0]
    with pytest.raises(Unprocessable, match="got 1.00001$"):
        read_batch(kind([[0.0, 1.00001, 0.5]]), shape=(1, 1, 3))


@pytest.mark.parametrize("shape", [(1, 2, 2), (3, 2, 4), (1, 1, 3), (1, 1, 1)])
def test_one_image_may_come_as_a_batch_of_one(shape: tuple[int, int, int]) -> None:
    channels, height, width = shape
    image = np.random.default_rng(0).random((height, width, channels), np.float32)
    by_channel = image.transpose(2, 0, 1)
    for given in (image, by_channel, by_channel.ravel(), *([image[..., 0]] if channels == 1 else [])):
        one = [given.tolist()]
        for value in (one[0], one, *([Rows(one)] if given.ndim == 1 else [])):
            np.testing.assert_allclose(read_image(value, shape=shape)[0], image, rtol=1e-6)
            if np.ndim(value) < 4 and not isinstance(value, Rows):
                np.testing.assert_allclose(read_batch([value] * 2, shape=shape)[1], image, rtol=1e-6)


def test_colours_come_by_channel_or_by_pixel() -> None:
    image = np.arange(24, dtype=np.float32).reshape(2, 4, 3) / 24  # height, width, channels
    by_channel = image.transpose(2, 0, 1)
    for given in (image.tolist(), by_channel.tolist(), by_channel.ravel().tolist()):
        np.testing.assert_allclose(read_image(given, shape=(3, 2, 4))[0], image, rtol=1e-6)
    np.testing.assert_allclose(read_batch([image.tolist()] * 2, shape=(3, 2, 4))[1], image, rtol=1e-6)
    with pytest.raises(Unprocessable, match="24 numbers .* nested 3 x 2 x 4, got 2 x 4"):
        read_image(image[..., 0].tolist(), shape=(3, 2, 4))
