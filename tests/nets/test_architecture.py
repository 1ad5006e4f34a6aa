from __future__ import annotations

import copy
from typing import Any

import pytest

from nets.architecture.read import MAX_LAYERS, parse_architecture
from nets.errors import SpecError
from nets.layers import LAYERS, Layer
from nets.layers.base import register
from tests.nets.builders import REFERENCE


def changed(*path: Any, value: Any) -> dict[str, Any]:
    """The reference with one value replaced."""
    body = copy.deepcopy(REFERENCE)
    at: Any = body
    for part in path[:-1]:
        at = at[part]
    at[path[-1]] = value
    return body


def problems(body: Any) -> list[str]:
    with pytest.raises(SpecError) as caught:
        parse_architecture(body)
    return [str(problem) for problem in caught.value.problems]


def test_the_reference_network() -> None:
    a = parse_architecture(REFERENCE)
    assert a.input == (1, 28, 28)
    assert a.classes == 10
    assert a.parameters == 9 * 32 + 32 + 9 * 32 * 64 + 64 + 3136 * 128 + 128 + 128 * 10 + 10
    assert a.summary_name() == "CNN 32-64-128-10"
    assert a.computed == 11  # the final softmax is read, not computed
    assert not a.normalises


def test_canonical_json_reads_back_as_the_same_network() -> None:
    a = parse_architecture(REFERENCE)
    assert parse_architecture(a.to_json()) == a
    assert hash(parse_architecture(a.to_json())) == hash(a)


def test_aliases_of_older_clients_mean_the_same() -> None:
    old = {
        "input_shape": [1, 28, 28],
        "layers": [
            {"type": "conv2d", "filters": 8, "kernel": 3},
            {"type": "maxpool2d", "pool_size": 2},
            {"type": "linear", "units": 16, "input_dim": 1352},
            {"type": "dropout", "rate": 0.2},
            {"type": "linear", "units": 10},
        ],
    }
    new = {
        "input_size": 784,
        "layers": [
            {"type": "conv2d", "out_channels": 8, "kernel_size": 3},
            {"type": "maxpool2d", "kernel_size": 2},
            {"type": "linear", "out": 16, "in": 1352},
            {"type": "dropout", "p": 0.2},
            {"type": "linear", "out": 10},
        ],
    }
    assert parse_architecture(old) == parse_architecture(new)


def test_structure_leaves_out_what_programs_take_as_inputs() -> None:
    a, b = parse_architecture(REFERENCE), parse_architecture(changed("layers", 9, "p", value=0.25))
    assert a != b
    assert a.structure == b.structure
    assert b.numbers() == {"dropout_9": {"p": 0.25}}


def test_a_vector_of_square_length_is_an_image_to_a_convolution() -> None:
    a = parse_architecture(
        {
            "layers": [
                {"type": "linear", "out": 36},
                {"type": "conv2d", "out_channels": 2, "kernel_size": 3},
                {"type": "maxpool2d", "kernel_size": 2},
                {"type": "linear", "out": 10},
            ]
        }
    )
    assert a.shapes == ((784,), (1, 6, 6), (2, 4, 4), (8,))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (changed("layers", 7, "in", value=3000), "architecture.layers[7].in: linear declares in = 3000, but flatten gives 3136 (64 x 7 x 7); set in to 3136, or leave it out"),
        (changed("layers", 3, "in_channels", value=16), "architecture.layers[3].in_channels: conv2d declares in_channels = 16, but maxpool2d gives 32 channels (32 x 14 x 14); set in_channels to 32, or leave it out"),
        (changed("layers", 0, "out_channels", value=-3), "architecture.layers[0].out_channels: must be at least 1, got -3"),
        (changed("layers", 1, "type", value="rellu"), "Did you mean 'relu'?"),
        (changed("layers", 0, "out_channels", value=2.5), "architecture.layers[0].out_channels: must be a whole number, got 2.5"),
        (changed("layers", 0, "out_channels", value=True), "must be a whole number, got true"),
        (changed("layers", 0, "out_channels", value="32"), 'must be a whole number, got "32"'),
        (changed("layers", 0, "out_channels", value=0), "must be at least 1, got 0"),
        (changed("layers", 0, "out_channels", value=10**400), "must be at most 10000000"),
        (changed("layers", 0, "padding", value="full"), "'same', 'valid', a whole number"),
        (changed("layers", 0, "padding", value=-1), "must be 0 to 64, got -1"),
        (changed("layers", 0, "kernel_size", value=[3, 3, 3]), "a pair [height, width]"),
        (changed("layers", 0, "strides", value=2), "Did you mean 'stride'?"),
        (changed("layers", 9, "p", value=1.0), "architecture.layers[9].p: must be less than 1, got 1.0"),
        (changed("layers", 9, "p", value=float("nan")), "must be a finite number"),
        (changed("layers", 7, value="linear"), 'must be an object such as {"type": "relu"}, got "linear"'),
        (changed("layers", 7, value={}), "architecture.layers[7].type: is required"),
        (changed("layers", value=[]), f"must hold 1 to {MAX_LAYERS} layers, got 0"),
        (changed("layers", value=[{"type": "relu"}] * 10_000), f"must hold 1 to {MAX_LAYERS} layers, got 10000"),
        (changed("layers", value=[{"type": "flatten"}, {"type": "softmax"}]), "a layer with weights to train"),
        (changed("layers", value=[{"type": "conv2d", "out_channels": 10, "kernel_size": 3}]), "must end in features"),
        (changed("layers", value={"type": "relu"}), "architecture.layers"),
        (changed("input_size", value=783), "must be 1 x 28 x 28 = 784, got 783"),
        (changed("input_height", value=28.5), "architecture.input_height: must be a whole number"),
        (changed("color", value="blue"), "architecture.color: is not a field of an architecture"),
        ({"layers": None}, "architecture.layers"),
        ({}, "architecture.layers: is required"),
        ([], "architecture: must be an object, got []"),
        (None, "architecture: must be an object, got null"),
    ],
)  # fmt: skip
def test_a_broken_rule_is_named_with_place_value_and_cure(body: Any, message: str) -> None:
    assert any(message in problem for problem in problems(body)), problems(body)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([{"type": "conv2d", "out_channels": 4, "kernel_size": 40}], "a 40 x 40 kernel (dilation 1 x 1) is larger than the 28 x 28 image"),
        ([{"type": "maxpool2d", "kernel_size": 40}], "a 40 x 40 window is larger than the 28 x 28 image"),
        ([{"type": "maxpool2d", "kernel_size": 2, "padding": 2}], "must be at most half the 2 x 2 kernel, got 2"),
        ([{"type": "flatten"}, {"type": "batchnorm2d"}], "batchnorm2d expects an image, got 784 features; use batchnorm1d"),
        ([{"type": "batchnorm1d"}], "batchnorm1d expects features, got an image (1 x 28 x 28); use batchnorm2d"),
        ([{"type": "batchnorm2d", "num_features": 7}], "batchnorm2d declares num_features = 7, but the input gives 1 channel (1 x 28 x 28); set num_features to 1, or leave it out"),
        ([{"type": "linear", "out": 50}, {"type": "conv2d", "out_channels": 4, "kernel_size": 3}], "50 features are no square image"),
        ([{"type": "conv2d", "out_channels": 4, "kernel_size": 3, "groups": 3}], "must divide the 1 input and 4 output channels, got 3"),
        ([{"type": "residual_block", "out_channels": 4, "in_channels": 2}], "residual_block declares in_channels = 2, but the input gives 1 channel (1 x 28 x 28); set in_channels to 1"),
        ([{"type": "linear", "out": 5}, {"type": "batchnorm1d", "num_features": 7}], "batchnorm1d declares num_features = 7, but linear gives 5; set num_features to 5"),
        ([{"type": "flatten"}, {"type": "batchnorm1d", "num_features": 7}], "but flatten gives 784 (1 x 28 x 28); set num_features to 784"),
        ([{"type": "flatten"}, {"type": "conv2d", "filters": 4, "kernel": 3, "in_channels": 3}], "but flatten gives 1 channel (1 x 28 x 28); set in_channels to 1"),
        ([{"type": "linear", "out": 36}, {"type": "conv2d", "filters": 4, "kernel": 3, "in_channels": 3}], "but linear gives 1 channel (1 x 6 x 6)"),
        ([{"type": "conv2d", "filters": 4, "kernel": 3}, {"type": "linear", "out": 5, "in": 784}], "linear declares in = 784, but conv2d gives 2704 (4 x 26 x 26)"),
        ([{"type": "linear", "units": 10, "out": 12}], "says 12 where 'units' says 10; send one"),
    ],
)  # fmt: skip
def test_a_layer_that_does_not_fit_is_named(layers: list[dict[str, Any]], message: str) -> None:
    found = problems({"layers": [*layers, {"type": "linear", "out": 10}]})
    assert any(message in problem for problem in found), found


def test_errors_use_the_name_that_the_client_used() -> None:
    found = problems({"layers": [{"type": "linear", "units": 0}, {"type": "linear", "units": 10, "input_dim": 3}]})
    assert found[0].startswith("architecture.layers[0].units: must be at least 1, got 0")
    found = problems({"layers": [{"type": "linear", "units": 5}, {"type": "linear", "units": 10, "input_dim": 3}]})
    assert found == [
        "architecture.layers[1].input_dim: linear declares input_dim = 3, but linear gives 5; set input_dim to 5, or leave it out"
    ]


def test_all_problems_are_reported_at_once() -> None:
    body = changed("layers", 7, "in", value=3000)
    body["layers"][0]["stride"] = 0
    body["layers"][9]["p"] = 2
    body["input_size"] = 3
    places = {problem.split(":")[0] for problem in problems(body)}
    assert places == {"architecture.input_size", "architecture.layers[0].stride", "architecture.layers[9].p"}


def test_pointers_are_json_pointers() -> None:
    with pytest.raises(SpecError) as caught:
        parse_architecture(changed("layers", 7, "in", value=3000))
    assert caught.value.problems[0].pointer == "/architecture/layers/7/in"


def test_the_table_of_layers_refuses_duplicates() -> None:
    with pytest.raises(ValueError, match='"relu" is registered already'):
        register(LAYERS["relu"])
    assert all(issubclass(cls, Layer) for cls in LAYERS.values())


def test_a_window_that_would_only_ever_see_padding_is_refused() -> None:
    for layer in (
        {"type": "conv2d", "out_channels": 2},
        {"type": "maxpool2d"},
        {"type": "residual_block", "out_channels": 2},
    ):
        same = {} if layer["type"] == "residual_block" else {"padding": "same"}
        body = {"layers": [{**layer, **same, "kernel_size": 56}, {"type": "linear", "out": 10}]}
        assert problems(body) == [
            "architecture.layers[0].kernel_size: spans 56 pixels of a side of 28; more than 55 would only ever see padding"
        ]
    # A network that has pooled down to one pixel goes on.
    parse_architecture(
        {
            "layers": [
                {"type": "maxpool2d", "kernel_size": 28},
                {"type": "residual_block", "out_channels": 2},
                {"type": "linear", "out": 10},
            ]
        }
    )


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"input_shape": 5}, "architecture.input_shape: must be [channels, height, width], got 5"),
        ({"input_shape": [1]}, "architecture.input_shape: must be [channels, height, width], got [1]"),
        ({"layers": "x"}, 'architecture.layers: must be a list, got "x"'),
    ],
)
def test_shapes_and_lists_are_asked_for_in_plain_words(fields: dict[str, Any], message: str) -> None:
    assert message in problems({"layers": [{"type": "linear", "out": 10}], **fields})
