"""From layers as written to a graph: ids, adapters, shared arrays, and what is the same however it is written."""

from __future__ import annotations

from typing import Any

import pytest

from nets.architecture.read import parse_architecture
from nets.errors import SpecError
from tests.nets.networks import RESNET_20, SIAMESE, SIAMESE_TOWERS


def ids(*layers: Any, **frame: Any) -> list[str]:
    return [
        node.id for node in parse_architecture({"input_shape": [3, 8, 8], **frame, "layers": list(layers)}).graph.nodes
    ]


LINEAR = {"type": "linear", "out": 4}


def test_ids_are_names_or_places_with_dots_between() -> None:
    assert ids(LINEAR, {**LINEAR, "name": "head"}) == ["linear_0.flatten", "linear_0", "head"]
    repeat = {"type": "repeat", "times": 2, "layers": [LINEAR, {**LINEAR, "name": "b"}]}
    assert ids(repeat, input_shape=[4]) == [f"repeat_0.{time}.{name}" for time in (0, 1) for name in ("linear_0", "b")]
    assert ids({**repeat, "name": "s", "times": 1}, input_shape=[4]) == ["s.0.linear_0", "s.0.b"]
    residual = {"type": "residual", "layers": [LINEAR], "shortcut": [LINEAR]}
    assert ids(residual, input_shape=[4]) == [
        "residual_0.layers.linear_0",
        "residual_0.shortcut.linear_0",
        "residual_0.add",
    ]
    parallel = {"type": "parallel", "branches": [[LINEAR], []]}
    assert ids(parallel, input_shape=[4]) == ["parallel_0.0.linear_0", "parallel_0.concat"]
    block = {"type": "residual_block", "out_channels": 3}
    assert ids(block, LINEAR)[:2] == ["residual_block_0.conv1", "residual_block_0.norm1"]


def test_parts_of_a_composite_are_drawn_in_its_order_and_copies_each_for_itself() -> None:
    nodes = parse_architecture(RESNET_20).graph.by_id
    block = [nodes[f"residual_block_4.{name}"] for name in ("conv1", "conv2", "norm1", "norm2", "skip")]
    assert [node.draw for node in block] == [(4,)] * 5
    assert [node.turn for node in block] == [0, 1, 2, 3, 4]
    assert nodes["repeat_3.1.residual_block_0.conv1"].draw == (3, 1, 0)
    assert nodes["repeat_3.1.residual_block_0.conv1"].path == ("architecture", "layers", 3, "layers", 0)


def test_shared_weights_are_those_of_the_first() -> None:
    shared = {node.id: node.shares for node in parse_architecture(SIAMESE).graph.nodes if node.shares}
    assert shared == {"linear_7": "first", "other": "one"}
    towers = {node.id: node.shares for node in parse_architecture(SIAMESE_TOWERS).graph.nodes if node.shares}
    assert towers == {"other.0.linear_1": "one.0.linear_1", "other.0.linear_3": "one.0.linear_3"}
    chain = [LINEAR | {"name": "a"}, {"type": "linear", "name": "b", "shares": "a"}, {"type": "linear", "shares": "b"}]
    a = parse_architecture({"input_shape": [4], "layers": chain})
    assert [node.shares for node in a.graph.nodes] == [None, "a", "a"]
    assert a.parameters == 20
    assert a.flops == 3 * 32


def test_a_composite_shares_part_by_part() -> None:
    block = {"type": "residual_block", "out_channels": 3, "name": "r"}
    a = parse_architecture(
        {"input_shape": [3, 8, 8], "layers": [block, {"type": "residual_block", "shares": "r"}, LINEAR]}
    )
    assert {node.shares for node in a.graph.nodes} == {None, "r.conv1", "r.conv2", "r.norm1", "r.norm2"}


def test_a_size_that_differs_between_copies_is_left_open() -> None:
    grows = {"type": "parallel", "branches": [[], [{"type": "linear", "out": 2}]]}
    a = parse_architecture(
        {
            "input_shape": [3],
            "layers": [{"type": "repeat", "times": 2, "layers": [grows]}, {"type": "linear", "out": 2}],
        }
    )
    [inner] = a.to_json()["layers"][0]["layers"]
    assert inner["branches"] == [[], [{"type": "linear", "in": None, "out": 2, "bias": True}]]
    assert inner["merge"] == {"type": "concat", "axis": None}
    assert [node.takes[0].size for node in a.graph.nodes if node.arrays] == [3, 5, 7]


def test_order_in_the_list_is_free() -> None:
    layers = [
        {**LINEAR, "name": "last", "inputs": ["sum"]},
        {"type": "add", "name": "sum", "inputs": ["a", "b"]},
        {**LINEAR, "name": "b", "inputs": ["input"]},
        {**LINEAR, "name": "a", "inputs": ["b"]},
    ]
    assert ids(*layers, input_shape=[4]) == ["b", "a", "sum", "last"]


def test_names_are_looked_for_outwards() -> None:
    inner = {
        "type": "repeat",
        "times": 2,
        "layers": [{"type": "tanh", "name": "a"}, {"type": "add", "inputs": ["a", "b"]}],
    }
    layers = [{"type": "relu", "name": "a"}, {"type": "tanh", "name": "b"}, inner, LINEAR]
    nodes = parse_architecture({"input_shape": [4], "layers": layers}).graph.by_id
    assert nodes["repeat_2.1.add_1"].inputs == ("repeat_2.1.a", "b")
    assert nodes["repeat_2.1.a"].inputs == ("repeat_2.0.add_1",)


@pytest.mark.parametrize(
    ("layers", "told"),
    [
        (
            [{"type": "repeat", "times": 9, "layers": [{"type": "convtranspose2d", "out_channels": 6, "kernel_size": 5, "stride": 5}]}],
            r"layers\[0\]\.layers\[0\]: convtranspose2d would give 3,750,000,000 numbers a sample, more than 2,147,483,647",
        ),
        (
            [{"type": "upsample", "scale_factor": 64}, {"type": "upsample", "scale_factor": 7}, {"type": "relu"}],
            r"layers\[3\]: flatten before linear would give 38,535,168 features, more than 10,000,000",
        ),
    ],
)  # fmt: skip
def test_values_that_no_device_holds_are_refused_where_they_come_from(layers: list[Any], told: str) -> None:
    with pytest.raises(SpecError, match=told):
        parse_architecture({"input_shape": [3, 8, 8], "layers": [*layers, LINEAR]})
