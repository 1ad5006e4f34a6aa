"""Layers that use the arrays of others, and what is told where they cannot."""

from __future__ import annotations

from typing import Any

import pytest

from nets.architecture.architecture import Architecture
from nets.architecture.read import parse_architecture
from nets.errors import SpecError

LENDER = {"type": "linear", "out": 4, "name": "a"}


def network(*layers: Any, **frame: Any) -> Architecture:
    return parse_architecture({"input_shape": [4], **frame, "layers": [*layers, {"type": "linear", "out": 2}]})


def problems(*layers: Any, **frame: Any) -> list[str]:
    with pytest.raises(SpecError) as caught:
        network(*layers, **frame)
    return [str(problem) for problem in caught.value.problems]


def test_fields_that_are_left_out_are_those_of_the_lender() -> None:
    a = network({**LENDER, "bias": False}, {"type": "linear", "shares": "a"})
    assert a.to_json()["layers"][1] == {"type": "linear", "in": 4, "out": 4, "bias": False, "shares": "a"}
    same = network({**LENDER, "bias": False}, {"type": "linear", "units": 4, "bias": False, "shares": "a"})
    assert same == a and same.parameters == 16 + 10


def test_every_copy_may_share_with_one_outside_or_with_its_own() -> None:
    outside = network(LENDER, {"type": "repeat", "times": 2, "layers": [{"type": "linear", "shares": "a"}]})
    assert [node.shares for node in outside.graph.nodes] == [None, "a", "a", None]
    own = network({"type": "repeat", "times": 2, "name": "r", "layers": [LENDER, {"type": "linear", "shares": "a"}]})
    assert [node.shares for node in own.graph.nodes] == [None, "r.0.a", None, "r.1.a", None]


def test_a_combinator_may_say_its_layers_again() -> None:
    block = {"type": "residual", "layers": [LENDER, {"type": "dropout", "p": 0.1}]}
    other = {**block, "layers": [{"type": "linear", "out": 4}, {"type": "dropout", "p": 0.5}], "shares": "block"}
    a = network({**block, "name": "block"}, other)
    assert {node.id: node.shares for node in a.graph.nodes if node.shares} == {
        "residual_1.layers.linear_0": "block.layers.a"
    }
    assert a.parameters == 20 + 10


@pytest.mark.parametrize(
    ("layers", "told"),
    [
        ([LENDER, {"type": "linear", "shares": "b"}], 'layers[1].shares: "b" is not the name of a layer; names that can be used here: a'),
        ([LENDER, {"type": "linear", "shares": 5}], "layers[1].shares: must be the name of a layer, got 5"),
        ([{**LENDER, "shares": "a"}], "layers[0].shares: leads back to the layer itself: a -> a; leave shares of one of them out"),
        ([{**LENDER, "shares": "b"}, {**LENDER, "name": "b", "shares": "a"}], "leads back to the layer itself: a -> b -> a"),
        ([LENDER, {"type": "batchnorm1d", "shares": "a"}], 'layers[1].shares: "a" is a linear, not a batchnorm1d; name a batchnorm1d'),
        ([{"type": "relu", "name": "r"}, {"type": "relu", "shares": "r"}], "layers[1].shares: relu has no weights to share; leave shares out"),
        ([LENDER, {"type": "linear", "out": 5, "shares": "a"}], "layers[1].shares: the kernel of 'a' is 4 x 4, and linear (layers[1]) needs 4 x 5; give both"),
        ([LENDER, {"type": "linear", "bias": False, "shares": "a"}], "the bias of 'a' is 4, and linear (layers[1]) needs none"),
        ([{**LENDER, "in": 4}, {"type": "linear", "out": 3}, {"type": "linear", "shares": "a"}], "layers[2].shares: has in from 'a', whose weights it shares, but that does not fit here: linear declares in = 4, but linear gives 3"),
        ([{"type": "repeat", "times": 2, "name": "r", "layers": [{"type": "repeat", "shares": "r"}]}], '"r" contains this layer; name another'),
        ([{"type": "repeat", "times": 1, "name": "r", "layers": [{"type": "tanh"}]}, {"type": "repeat", "shares": "r"}], "layers[1].shares: repeat has no weights to share"),
        ([{"type": "repeat", "times": 1, "name": "r", "layers": [LENDER]}, {"type": "repeat", "shares": "r", "layers": [{"type": "tanh"}, LENDER]}], "layers[1].shares: layers[1].layers[0] (tanh) has no tanh in its place in 'r'; give both the same layers"),
    ],
)  # fmt: skip
def test_whose_arrays_cannot_be_shared_is_told(layers: Any, told: str) -> None:
    assert any(told in problem for problem in problems(*layers)), problems(*layers)


def test_what_is_wrong_with_the_lender_is_told_there_alone() -> None:
    assert problems({**LENDER, "out": 0}, {"type": "linear", "shares": "a"}) == [
        "architecture.layers[0].out: must be at least 1, got 0"
    ]
    block = {"type": "repeat", "times": 1, "name": "r", "layers": [{"type": "linear", "out": 0}]}
    assert problems(block, {"type": "repeat", "shares": "r"}) == [
        "architecture.layers[0].layers[0].out: must be at least 1, got 0"
    ]


def test_combinators_that_take_each_other_over_end() -> None:
    one = {"type": "residual", "name": "one", "layers": [{"type": "residual", "shares": "two"}]}
    two = {"type": "residual", "name": "two", "layers": [{"type": "residual", "shares": "one"}]}
    assert any("contains this layer" in problem for problem in problems(one, two)), problems(one, two)
