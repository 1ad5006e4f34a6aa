from __future__ import annotations

import copy
import time
from typing import Any

import pytest

from nets.architecture.read import MAX_LAYERS, parse_architecture
from nets.errors import MOST_PROBLEMS, SpecError
from nets.layers import LAYERS, Layer
from nets.layers.base import register
from nets.spec.values import image
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
    assert a.graph.input == image(1, 28, 28)
    assert a.graph.classes == 10
    assert a.parameters == 9 * 32 + 32 + 9 * 32 * 64 + 64 + 3136 * 128 + 128 + 128 * 10 + 10
    assert a.summary_name() == "CNN 32-64-128-10"
    assert len(a.graph.computed) == 11  # the final softmax is read, not computed
    assert not a.graph.normalises


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


def test_other_names_of_types_mean_the_same_and_canonical_json_has_their_own() -> None:
    pools = {"type": "parallel", "branches": [[{"type": "max_pool2d", "pool_size": 2}]] * 2, "merge": "cat"}
    body = {
        "input_shape": [1, 12, 12],
        "layers": [
            {**pools, "name": "pools"},
            {"type": "dense", "units": 4, "name": "a"},
            {
                **pools,
                "inputs": "a",
                "branches": [[], [{"type": "dense", "units": 4}]],
                "merge": {"type": "concatenate"},
            },
            {"type": "linear", "out": 4, "name": "b"},
            {"type": "dense", "shares": "a", "inputs": "pools", "name": "c"},
            {"type": "add", "inputs": ["b", "c"]},
        ],
    }
    read = parse_architecture(body)
    sent = read.to_json()
    assert [each["type"] for each in sent["layers"]] == ["parallel", "linear", "parallel", "linear", "linear", "add"]
    assert sent["layers"][0]["branches"][0][0]["type"] == "maxpool2d"
    assert [sent["layers"][place]["merge"]["type"] for place in (0, 2)] == ["concat", "concat"]
    assert parse_architecture(sent) == read and "parallel_2.1.linear_0" in read.graph.by_id
    nameless = {"layers": [{"type": "dense", "out": 4}, {"type": "relu", "inputs": "linear_0"}]}
    assert "layers[0] has none: give it" in problems(nameless)[0]
    wrong = {"layers": [{"type": "dense", "input_dim": 3, "out": 4}]}
    assert problems(wrong)[0].startswith("architecture.layers[0].input_dim: linear declares input_dim = 3")


def test_structure_leaves_out_what_programs_take_as_inputs() -> None:
    a, b = parse_architecture(REFERENCE), parse_architecture(changed("layers", 9, "p", value=0.25))
    assert a != b
    assert a.graph.structure == b.graph.structure
    assert b.graph.numbers() == {"dropout_9": {"p": 0.25}}


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
    assert [one.takes[0].shape for one in a.applied] == [(784,), (1, 6, 6), (2, 4, 4), (8,)]
    adapters = ["linear_0.flatten", "conv2d_1.as_image", "linear_3.flatten"]
    assert [node.id for node in a.graph.nodes if "." in node.id] == adapters


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
        (changed("layers", 0, "steps", value=2), "Did you mean 'stride'?"),
        (changed("layers", 9, "p", value=1.0), "architecture.layers[9].p: must be less than 1, got 1.0"),
        (changed("layers", 9, "p", value=float("nan")), "must be a finite number"),
        (changed("layers", 7, value="linear"), 'must be an object such as {"type": "relu"}, got "linear"'),
        (changed("layers", 7, value={}), "architecture.layers[7].type: is required"),
        (changed("layers", value=[]), f"must have 1 to {MAX_LAYERS} layers, got 0"),
        (changed("layers", value=[{"type": "relu"}] * 10_000), f"must have 1 to {MAX_LAYERS} layers, got 10000"),
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
        ([{"type": "linear", "out": 50}, {"type": "conv2d", "out_channels": 4, "kernel_size": 3}], "50 features cannot be read as a square image"),
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
        (
            {"input_shape": 5},
            "architecture.input_shape: must be [features], [length, features] or [channels, height, width], got 5",
        ),
        (
            {"input_shape": [1, 2, 3, 4]},
            "architecture.input_shape: must be [features], [length, features] or [channels, height, width], got [1, 2, 3, 4]",
        ),
        ({"layers": "x"}, 'architecture.layers: must be a list, got "x"'),
    ],
)
def test_shapes_and_lists_are_asked_for_in_plain_words(fields: dict[str, Any], message: str) -> None:
    assert message in problems({"layers": [{"type": "linear", "out": 10}], **fields})


def graph_problems(*layers: Any, **frame: Any) -> list[str]:
    return problems({"input_shape": [4], **frame, "layers": list(layers)})


def linear(out: int = 4, **fields: Any) -> dict[str, Any]:
    return {"type": "linear", "out": out, **fields}


def test_a_merge_of_shapes_that_differ_names_both_and_the_cure() -> None:
    conv = {"type": "conv2d", "out_channels": 64, "kernel_size": 3, "padding": "same"}
    layers = [
        {**conv, "name": "a"},
        {**conv, "out_channels": 32, "stride": 2, "name": "b"},
        {"type": "add", "inputs": ["a", "b"]},
        linear(10),
    ]
    assert graph_problems(*layers, input_shape=[3, 14, 14]) == [
        "architecture.layers[2]: add takes inputs of one shape; 'a' gives 64 x 14 x 14, 'b' 32 x 7 x 7; "
        "put a conv2d with stride 2 before 'a'"
    ]


@pytest.mark.parametrize(
    ("layers", "told"),
    [
        ([linear(inputs=["b"], name="a"), linear(name="b"), linear()], "layers[0]: is part of a cycle: a -> b -> a; change the inputs of one of them"),
        ([linear(inputs=["c"], name="a"), linear(name="b"), linear(name="c"), linear(inputs=["a"])], "layers[0]: is part of a cycle: a -> b -> c -> a"),
        ([linear(inputs=["a"], name="a"), linear()], "layers[0]: is part of a cycle: a -> a"),
        ([linear(), linear(inputs=["end"]), linear(name="end")], "layers[1]: is part of a cycle: layers[1] (linear) -> end -> layers[1] (linear)"),
        ([{"type": "residual", "layers": [linear(name="in"), {"type": "add", "inputs": ["in", "out"]}]}, linear(name="out")], "is part of a cycle: layers[0].layers[1] (add) -> layers[0] (residual) -> out -> layers[0].layers[1] (add)"),
        ([linear(name="tower"), linear(inputs=["towr"])], "layers[1].inputs: \"towr\" is not the name of a layer. Did you mean 'tower'?"),
        ([linear(), linear(inputs=["linear_0"])], 'layers[1].inputs: "linear_0" is not the name of a layer; layers[0] has none: give it "name": "linear_0"'),
        ([linear(name="a"), linear(inputs=["q"])], "layers[1].inputs: \"q\" is not the name of a layer; names that can be used here: a"),
        ([linear(), linear(inputs=["q"])], 'layers[1].inputs: "q" is not the name of a layer; give the layer that you mean a "name"'),
        ([linear(name="a"), linear(name="a")], 'layers[1].name: "a" is the name of layers[0] already; choose another'),
        ([linear(name="linear_1"), linear()], 'layers[0].name: "linear_1" is what layers[1] is called without a name; choose another'),
        ([linear(name="input"), linear()], "layers[0].name: \"input\" is the network's input; choose another name"),
        ([linear(name="a.b"), linear()], 'layers[0].name: must be printable and have no dot and no slash, got "a.b"'),
        ([linear(name="a\n"), linear()], "layers[0].name: must be printable"),
        ([linear(name="a" * 65), linear()], "layers[0].name: must have 1 to 64 characters, got 65"),
        ([linear(name=""), linear()], "layers[0].name: must have 1 to 64 characters, got 0"),
        ([linear(name=3), linear()], "layers[0].name: must be a string, got 3"),
        ([linear(inputs=5), linear()], 'layers[0].inputs: must be a list of names of layers such as ["a", "b"], got 5'),
        ([linear(inputs=[]), linear()], "layers[0].inputs: must have 1 to 64 names, got 0"),
        ([linear(name="a"), linear(inputs=["input"])], "layers[0]: no layer reads 'a', and layers[1] (linear) is the output already; name it in the inputs of another layer, or remove it"),
        ([linear(), {"type": "add"}], "layers[1]: add takes 2 to 64 inputs, got 1; name them in inputs"),
        ([linear(name="a"), linear(inputs=["a", "input"])], "layers[1].inputs: linear takes 1 input, got 2; join them by a merge"),
        ([{"type": "concat", "axis": "height", "inputs": ["input", "input"]}, linear()], "layers[0].axis: must be an axis of what the input gives (features or 1 to 1; the batch cannot be joined along), got \"height\""),
        ([linear(x="a" * 5000)], "layers[0]: x: may have up to 4096 characters of JSON in a layer, got 5009"),
        ([linear(position=float("nan"))], "layers[0]: position: must be JSON without NaN"),
        ([{"type": "add", "input": ["a"]}, linear()], "layers[0].input: is not a field of add. Did you mean 'inputs'?"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_graph_is_told_by_names(layers: list[Any], told: str) -> None:
    assert any(told in problem for problem in graph_problems(*layers)), graph_problems(*layers)


def test_all_that_is_wrong_with_a_graph_is_told_at_once() -> None:
    found = graph_problems(
        linear(name="a", inputs=["b"]),
        linear(name="b"),
        linear(inputs=["nowhere"]),
        linear(0, inputs=["input"]),
        linear(3, name="three", inputs=["input"]),
        {"type": "add", "inputs": ["three", "input"]},
    )
    assert [problem.split(": ")[0].removeprefix("architecture.layers") for problem in found] == [
        *("[0]", "[2].inputs", "[2]", "[3].out", "[3]", "[5]")
    ]


def test_what_follows_a_layer_that_does_not_fit_is_unknown_and_other_branches_are_not() -> None:
    found = graph_problems(
        linear(name="a", inputs=["input"]),
        {"type": "batchnorm2d"},
        {"type": "linear", "in": 3, "out": 2, "name": "after"},
        {"type": "linear", "in": 3, "out": 2, "name": "other", "inputs": ["input"]},
        {"type": "add", "inputs": ["after", "other"]},
    )
    assert found == [
        "architecture.layers[1]: batchnorm2d expects an image, got 4 features; use batchnorm1d, or put it before flatten",
        "architecture.layers[3].in: linear declares in = 3, but the input gives 4; set in to 4, or leave it out",
    ]


@pytest.mark.parametrize(
    ("frame", "layers", "told"),
    [
        ({"input_shape": [9, 4]}, [{"type": "conv2d", "out_channels": 4, "kernel_size": 3}], "conv2d expects an image, got a sequence (9 x 4); "),
        ({"input_shape": [9, 4]}, [{"type": "batchnorm2d"}], "batchnorm2d expects an image, got a sequence (9 x 4); use batchnorm1d"),
        ({"input_shape": [9, 4]}, [linear(2)], "layers[0]: the network must end in features, got a sequence (9 x 2); end with flatten"),
        ({"input_shape": [9], "input_vocabulary": 50}, [linear(2)], "layers[0]: linear expects features, got 9 tokens; "),
        ({"input_shape": [4]}, [linear(1)], "layers[0]: the network must end in one output per class, at least 2, got 1"),
    ],
)  # fmt: skip
def test_kinds_of_input_have_their_layers(frame: Any, layers: list[Any], told: str) -> None:
    assert any(told in problem for problem in graph_problems(*layers, **frame)), graph_problems(*layers, **frame)


def test_names_that_nobody_has_are_many_and_soon_told() -> None:
    layers = [linear(name=f"layer{index}") for index in range(500)]
    layers += [{"type": "add", "inputs": [f"lyaer{index}" for index in range(64)]}] * 500
    started = time.process_time()
    assert len(graph_problems(*layers)) == MOST_PROBLEMS
    assert time.process_time() - started < 10
