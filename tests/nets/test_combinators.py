"""Lists of layers that stand in a network more than once, side by side, or with what goes around them."""

from __future__ import annotations

from typing import Any

import pytest

from nets.architecture.combinators import COMBINATORS, Combinator, Parallel
from nets.architecture.read import parse_architecture
from nets.errors import SpecError
from nets.layers import LAYERS
from nets.layers.merge import Add, Concat

LINEAR = {"type": "linear", "out": 4}


def problems(*layers: Any, most: int = 2048) -> list[str]:
    with pytest.raises(SpecError) as caught:
        parse_architecture({"input_shape": [4], "layers": list(layers)}, most_layers=most)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize("cls", COMBINATORS.values(), ids=COMBINATORS)
def test_each_describes_itself(cls: type[Combinator]) -> None:
    assert cls.__doc__
    assert COMBINATORS.keys().isdisjoint(LAYERS)
    for name, field in cls.model_json_schema()["properties"].items():
        assert name == "type" or field["description"]
    for example in cls.examples:
        parsed = COMBINATORS.parse(example, ())
        assert len({copy.body for copy in parsed.copies()}) == len(list(cls.lists(example)))
        end = [{"type": "flatten"}, {"type": "linear", "out": 10}]
        a = parse_architecture({"input_shape": list(cls.given.shape), "layers": [example, *end]})
        assert a.graph.classes == 10


def test_a_merge_is_a_name_or_an_object() -> None:
    def merge(value: Any) -> Any:
        return Parallel.model_validate({"type": "parallel", "branches": [[], []], "merge": value}).merge

    assert merge("add") == merge({"type": "add"}) == Add()
    assert merge({"type": "concat", "axis": "height"}) == Concat(axis="height")
    assert merge("concatenate") == merge({"type": "cat"}) == Concat(axis=None)


@pytest.mark.parametrize(
    ("layer", "told"),
    [
        ({"type": "repeat", "times": 0, "layers": [LINEAR]}, "layers[0].times: must be at least 1, got 0"),
        ({"type": "repeat", "layers": [LINEAR]}, "layers[0].times: is required by repeat"),
        ({"type": "repeat", "times": 2, "layers": []}, "layers[0]: repeat must have at least 1 layer in layers, got none"),
        ({"type": "repeat", "times": 2, "layers": [{**LINEAR, "inputs": ["input"]}]}, "none of them reads the layer before"),
        ({"type": "residual", "layers": "x"}, 'layers[0].layers: must be a list, got "x"'),
        ({"type": "residual", "layers": [{"type": "linear", "out": 5}]}, "layers[0]: add takes inputs of one shape; layers[0].layers[0] (linear) gives 5 features, the end of shortcut 4 features"),
        ({"type": "parallel", "branches": [[]]}, "layers[0].branches: must have 2 to 64 lists of layers, got 1"),
        ({"type": "parallel", "branches": [[], {}]}, "layers[0].branches: must be a list of lists of layers"),
        ({"type": "parallel", "branches": [[], []], "merge": "relu"}, 'layers[0].merge: must be one of add, multiply, subtract, average, maximum, concat, got "relu"'),
        ({"type": "parallel", "branches": [[], [], []], "merge": "subtract"}, "layers[0]: subtract takes 2 inputs, got 3; give the combinator as many lists of layers"),
        ({"type": "repeat", "times": 2, "layer": [LINEAR]}, "Did you mean 'type' or 'layers'?"),
        ({"type": "repeat", "times": 2, "layers": [{"type": "linear", "out": 0}, {"type": "rellu"}]}, "layers[0].layers[1].type: must be one of"),
        ({"type": "repeat", "layers": [{"type": "linear", "out": 0}]}, "layers[0].layers[0].out: must be at least 1, got 0"),
    ],
)  # fmt: skip
def test_a_broken_rule_is_named_with_its_place(layer: Any, told: str) -> None:
    assert any(told in problem for problem in problems(layer, LINEAR)), problems(layer, LINEAR)


def test_what_is_wrong_in_every_copy_is_told_once() -> None:
    repeat = {"type": "repeat", "times": 5, "layers": [{"type": "linear", "in": 3, "out": 4}]}
    assert problems(repeat, LINEAR) == [
        "architecture.layers[0].layers[0].in: linear declares in = 3, but the input gives 4; set in to 4, or leave it out"
    ]


def test_a_size_that_fits_the_first_copy_alone_is_told() -> None:
    repeat = {"type": "repeat", "times": 3, "layers": [{"type": "linear", "in": 4, "out": 5}]}
    [told] = problems(repeat, LINEAR)
    assert "layers[0].layers[0].in: linear declares in = 4, but linear gives 5" in told


def test_limits_count_what_is_written_out_and_refuse_before_that() -> None:
    inner: Any = [LINEAR]
    for _ in range(6):
        inner = [{"type": "repeat", "times": 2048, "layers": inner}]
    assert problems(*inner) == [
        "architecture.layers: must make a network of at most 2048 layers, repetitions included; "
        "got more than 1000000000000"
    ]
    six = {"type": "repeat", "times": 6, "layers": [LINEAR]}
    assert "at most 5 layers, repetitions included; got 7" in problems(six, LINEAR, most=5)[0]
    residual = {"type": "residual", "layers": [LINEAR, LINEAR, LINEAR, LINEAR]}
    assert "those of combinators included" in problems(residual, LINEAR, most=5)[0]


def test_combinators_stand_in_each_other_up_to_a_depth() -> None:
    def nested(deep: int) -> Any:
        inner: Any = LINEAR
        for _ in range(deep):
            inner = {"type": "residual", "layers": [inner]}
        return inner

    assert parse_architecture({"input_shape": [4], "layers": [nested(16), LINEAR]}).parameters == 40
    [told] = problems(nested(17), LINEAR)
    assert told.endswith("combinators can be nested at most 16 deep")


def each_step(*layers: dict[str, Any], shape: tuple[int, ...] = (4, 6)) -> Any:
    inner = {"type": "timedistributed", "name": "each", "layers": list(layers)}
    body = {"input_shape": list(shape), "layers": [inner, {"type": "flatten"}, {"type": "linear", "out": 2}]}
    return parse_architecture(body)


def test_layers_of_each_step_have_one_set_of_weights_and_cost_once_for_every_step() -> None:
    a = each_step({"type": "reshape", "shape": [6, 1]}, {"type": "lstm", "hidden_size": 3, "output": "last"})
    found = {node.id: (node.cost.macs, node.gives.shape, node.gives.times) for node in a.graph.nodes}
    assert found["each.layers.lstm_1"] == (4 * 6 * (1 + 3) * 12, (3,), 4)
    assert found["each.as_sequence"] == (0, (4, 3), 1)
    assert set(a.graph.arrays()["params"]) == {"each.layers.lstm_1", "linear_2"}
    assert parse_architecture(a.to_json()) == a


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([{"type": "linear", "in": 4, "out": 2}], r"layers\[0\].layers\[0\].in: .*gives 6; set in to 6"),
        ([{"type": "reshape", "shape": [6, 1]}], r"must give features for each step, but .* a sequence \(6 x 1\)"),
        ([{"type": "linear", "out": 2, "inputs": "input"}], "timedistributed must read the steps"),
        (
            [{"type": "linear", "out": 6}, {"type": "add", "inputs": ["linear_0", "input"]}],
            r"add expects|add takes inputs that a sample has equally often",
        ),
    ],
)
def test_what_a_step_cannot_be_given_is_told_at_its_place(layers: list[dict[str, Any]], message: str) -> None:
    layers = [{"name": f"{layer['type']}_{place}", **layer} for place, layer in enumerate(layers)]
    with pytest.raises(SpecError, match=message):
        each_step(*layers)


def test_layers_of_each_step_take_a_sequence() -> None:
    with pytest.raises(SpecError, match="timedistributed expects a sequence, got an image.*; put a reshape"):
        each_step({"type": "linear", "out": 2}, shape=(1, 4, 4))
