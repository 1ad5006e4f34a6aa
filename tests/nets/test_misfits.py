"""A layer that cannot take what comes is told with what makes it fit."""

from __future__ import annotations

from typing import Any

import pytest

from nets.architecture.read import parse_architecture
from nets.errors import SpecError

FLAT, END = {"type": "flatten"}, {"type": "linear", "out": 3}


@pytest.mark.parametrize(
    ("kind", "sent", "message"),
    [
        ("crop2d", {"input_shape": [12, 6]}, "crop2d expects an image, got a sequence (12 x 6); put toimage before it"),
        ("crop2d", {"input_shape": [784]}, "crop2d expects an image, got 784 features; put reshape before it"),
        (
            "classtoken",
            {"input_shape": [784]},
            "classtoken expects a sequence, got 784 features; put reshape before it",
        ),
        (
            "tanh",
            {"input_shape": [5], "input_vocabulary": 9},
            "tanh expects features or an image, got 5 tokens; put embedding before it",
        ),
        (
            "conv2d",
            {"input_shape": [5], "input_vocabulary": 9},
            "conv2d expects an image, got 5 tokens; put embedding before it",
        ),
    ],
)
def test_the_cure_names_what_makes_one_kind_of_another(kind: str, sent: dict[str, Any], message: str) -> None:
    more = {"crop2d": {"cropping": 1}, "conv2d": {"out_channels": 4, "kernel_size": 3}}.get(kind, {})
    with pytest.raises(SpecError) as failure:
        parse_architecture({**sent, "layers": [{"type": kind, **more}, FLAT, END]})
    assert any(message in problem.detail for problem in failure.value.problems), failure.value
