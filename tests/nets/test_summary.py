"""A network for people and for the next reader: a short name, and its canonical JSON."""

from __future__ import annotations

from typing import Any

import pytest

from nets.architecture.architecture import Architecture
from nets.architecture.read import parse_architecture
from tests.nets.builders import REFERENCE
from tests.nets.networks import NETWORKS

LINEAR = {"type": "linear", "out": 4}


def network(*layers: Any) -> Architecture:
    return parse_architecture({"input_shape": [4], "layers": list(layers)})


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("ResNet-20", "ResNet 16-16-16-...-64-64-10"),
        ("DenseNet-BC", "CNN 24-48-12-...-12-30-10"),
        ("two branches", "CNN 4-4-3"),
        ("siamese", "MLP 32-16-8-32-16-8-3"),
        ("encoder", "MLP 8-8-8-...-32-8-4"),
    ],
)
def test_a_name_says_kind_and_widths(name: str, title: str) -> None:
    assert parse_architecture(NETWORKS[name][0]).summary_name() == title


def test_canonical_json_of_a_chain_is_as_it_always_was() -> None:
    written = parse_architecture(REFERENCE).to_json()
    assert list(written) == ["input_size", "input_channels", "input_height", "input_width", "layers"]
    assert written["layers"][7:9] == [{"type": "linear", "in": 3136, "out": 128, "bias": True}, {"type": "relu"}]


def test_names_inputs_and_what_builders_keep_stay_in_the_json_and_change_no_network() -> None:
    kept = {"id": 7, "label": "first", "x": 0.5, "y": None, "position": {"x": [1, 2]}}
    layer = {**LINEAR, "name": "a", "inputs": "input", **kept}
    a = network(layer, {"type": "add", "inputs": ["a", "input"]})
    first, second = a.to_json()["layers"]
    assert first == {"type": "linear", "in": 4, "out": 4, "bias": True, "name": "a", "inputs": ["input"], **kept}
    assert second == {"type": "add", "inputs": ["a", "input"]}
    plain = network({**LINEAR, "name": "a"}, {"type": "add", "inputs": ["a", "input"]})
    assert plain == a and hash(plain) == hash(a)


def test_combinators_stay_combinators() -> None:
    shortcut = {"type": "residual", "layers": [LINEAR], "shortcut": [LINEAR], "name": "r", "label": "block"}
    [repeat] = network({"type": "repeat", "times": 3, "layers": [shortcut]}).to_json()["layers"]
    filled = {"type": "linear", "in": 4, "out": 4, "bias": True}
    residual = {"type": "residual", "layers": [filled], "shortcut": [filled], "name": "r", "label": "block"}
    assert repeat == {"type": "repeat", "times": 3, "layers": [residual]}
