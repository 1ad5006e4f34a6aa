"""What goes into a network, from whichever fields of the frame say so."""

from __future__ import annotations

from typing import Any

import pytest

from nets.architecture.frame import Frame, frame_json, input_value
from nets.errors import SpecError
from nets.spec.fields import parse
from nets.spec.values import Value, features, image, sequence, tokens


def read(**fields: Any) -> Value:
    return input_value(parse(Frame, {**fields, "layers": []}, (), owner="an architecture"), ())


@pytest.mark.parametrize(
    ("fields", "value"),
    [
        ({}, image(1, 28, 28)),
        ({"input_channels": 3}, image(3, 28, 28)),
        ({"input_height": 32}, image(1, 32, 32)),
        ({"input_size": 784}, image(1, 28, 28)),
        ({"input_size": 192, "input_channels": 3}, image(3, 8, 8)),
        ({"input_shape": [3, 8, 6]}, image(3, 8, 6)),
        ({"input_shape": [3, 8, 6], "input_width": 6, "input_size": 144}, image(3, 8, 6)),
        ({"input_shape": [16, 8]}, sequence(16, 8)),
        ({"input_shape": [64], "input_size": 64}, features(64)),
        ({"input_shape": [12.0], "input_vocabulary": 100}, tokens(12, 100)),
        ({"input_shape": None, "input_vocabulary": None}, image(1, 28, 28)),
    ],
)
def test_one_to_three_sizes_say_which_kind_comes(fields: Any, value: Value) -> None:
    assert read(**fields) == value
    assert read(**frame_json(value)) == value


def test_images_are_written_by_their_sides_and_other_kinds_by_their_shape() -> None:
    assert frame_json(image(3, 8, 6)) == {"input_size": 144, "input_channels": 3, "input_height": 8, "input_width": 6}
    assert frame_json(sequence(16, 8)) == {"input_size": 128, "input_shape": [16, 8]}
    assert frame_json(tokens(12, 100)) == {"input_size": 12, "input_shape": [12], "input_vocabulary": 100}


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"input_size": 5, "input_shape": [2, 3]}, "input_size: must be 2 x 3 = 6, got 5; send an input_shape whose"),
        (
            {"input_shape": [16, 8], "input_channels": 3},
            "input_channels: belongs to an image, but input_shape is [16, 8]",
        ),
        (
            {"input_shape": [3, 8, 8], "input_width": 3},
            "input_width: is 3, but input_shape says 8; send one of them",
        ),
        ({"input_vocabulary": 9}, "input_vocabulary: needs an input_shape of [length], got none"),
        ({"input_vocabulary": 9, "input_shape": [2, 2]}, "input_shape of [length], got [2, 2]"),
        ({"input_shape": []}, "must be [features], [length, features] or [channels, height, width], got []"),
        ({"input_shape": [3, 5000, 8]}, "input_shape: must be sizes of 1 to 4096, got [3, 5000, 8]"),
        ({"input_shape": [True]}, "input_shape: must be a whole number, got true"),
        ({"input_shape": "abc"}, 'got "abc"'),
    ],
)
def test_what_contradicts_itself_is_told(fields: Any, told: str) -> None:
    with pytest.raises(SpecError) as caught:
        read(**fields)
    assert told in "\n".join(map(str, caught.value.problems))
