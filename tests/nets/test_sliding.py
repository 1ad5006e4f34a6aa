"""Windows over images and sequences: what is refused, and with which words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nets.architecture.read import parse_architecture
from nets.errors import Problem, SpecError
from nets.layers import LAYERS
from nets.layers.average_pool import AvgPool2d
from nets.spec.values import image, sequence


def problem(layer: dict[str, Any], shape: list[int]) -> Problem:
    """What is said of a layer that reads an input of this shape."""
    layers = [layer, {"type": "flatten"}, {"type": "linear", "out": 3}]
    with pytest.raises(SpecError) as caught:
        parse_architecture({"input_shape": shape, "layers": layers})
    (found,) = caught.value.problems
    return found


@pytest.mark.parametrize(
    ("layer", "shape", "field", "words"),
    [
        (
            {"type": "conv2d", "out_channels": 2, "kernel_size": 3, "padding": 4, "padding_mode": "reflect"},
            [1, 4, 6],
            "padding_mode",
            "reflect needs each side of the 4 x 6 image to be longer than the padding there, got 4; set padding_mode",
        ),
        (
            {"type": "conv1d", "filters": 2, "kernel_size": 3, "padding": 6, "padding_mode": "circular"},
            [5, 2],
            "padding_mode",
            "circular needs each side of the sequence of 5 steps to be at least as long as the padding there, got 6",
        ),
        (
            {"type": "conv1d", "out_channels": 2, "kernel": 7},
            [5, 2],
            "kernel",
            "a 7 kernel .dilation 1. is larger than the sequence of 5 steps with padding 0",
        ),
        (
            {"type": "conv1d", "out_channels": 2, "kernel_size": 3, "groups": 2},
            [5, 3],
            "groups",
            "must divide the 3 input and 2 output channels, got 2",
        ),
        (
            {"type": "conv1d", "out_channels": 2, "kernel_size": 40, "padding": 30},
            [5, 2],
            "kernel_size",
            "spans 40 steps of a sequence of 5; more than 15 would only ever see padding",
        ),
        (
            {"type": "convtranspose2d", "out_channels": 2, "kernel_size": 3, "stride": 2, "output_padding": 2},
            [1, 4, 4],
            "output_padding",
            "must be smaller than the stride 2 x 2 or the dilation 1 x 1, got 2 x 2",
        ),
        (
            {"type": "convtranspose2d", "out_channels": 2, "kernel_size": 3, "padding": "same", "output_padding": 1},
            [1, 4, 4],
            "output_padding",
            "must be 0 where padding is 'same'",
        ),
        (
            {"type": "convtranspose1d", "out_channels": 2, "kernel_size": 3, "padding": 4},
            [5, 2],
            "padding",
            "cuts everything off what the kernel makes of a sequence of 5 steps, got 4",
        ),
        (
            {"type": "maxpool2d", "kernel_size": 2, "dilation": 4, "padding": 2},
            [1, 2, 2],
            "padding",
            "leaves a window with no pixel of the 2 x 2 image in it, got 2 .dilation 4 x 4.",
        ),
        (
            {"type": "avgpool1d", "kernel_size": 4, "padding": 3},
            [9, 2],
            "padding",
            "must be at most half the 4 kernel, got 3",
        ),
        (
            {"type": "separableconv2d", "out_channels": 2, "kernel_size": 9},
            [1, 4, 4],
            "kernel_size",
            "a 9 x 9 kernel",
        ),
    ],
)
def test_what_does_not_fit_is_told_with_a_cure(layer: Any, shape: list[int], field: str, words: str) -> None:
    found = problem(layer, shape)
    assert found.path[-1] == field
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(found.detail)


def test_a_transposed_convolution_restores_the_size_that_a_convolution_came_from() -> None:
    for size in (8, 9):
        for padding in (0, 1):
            fields = {"out_channels": 2, "kernel_size": 3, "stride": 2, "padding": padding}
            down = LAYERS.parse({"type": "conv2d", **fields}, ()).output(image(2, size, size))
            left = (size + 2 * padding - 3) % 2
            up = LAYERS.parse({"type": "convtranspose2d", **fields, "output_padding": left}, ())
            assert up.output(down).shape == (2, size, size)
    doubled = LAYERS.parse(
        {"type": "conv2dtranspose", "filters": 2, "kernel_size": 5, "strides": 2, "padding": "same"}, ()
    )
    assert doubled.output(image(3, 7, 6)) == image(2, 14, 12)


def test_sizes_of_sequences_come_as_lists_of_one_too() -> None:
    layer = LAYERS.parse(
        {"type": "convolution1d", "filters": 3, "kernel_size": [3], "strides": [2], "padding": [1]}, ()
    )
    assert layer.output(sequence(9, 4)) == sequence(5, 3)
    assert {name: layer.to_json()[name] for name in ("type", "kernel_size", "stride", "padding")} == {
        "type": "conv1d", "kernel_size": 3, "stride": 2, "padding": 1,
    }  # fmt: skip


def test_a_mean_with_the_padding_of_keras_is_one_of_pixels_alone() -> None:
    value = image(1, 3, 3)
    edges = {"same": [4, 2, 2, 1], 1: [4, 4, 4, 4]}
    for padding, counts in edges.items():
        divisors = AvgPool2d(kernel_size=2, stride=2, padding=padding).divisors(value)  # type: ignore[arg-type]
        assert np.asarray(divisors).reshape(-1).tolist() == counts
