"""Types that are made of others, also of such that are: their parts, their costs, and what does not fit."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from nets.architecture.cost import totals
from nets.architecture.read import parse_architecture
from nets.errors import SpecError
from nets.layers import LAYERS
from nets.layers.bottleneck import Bottleneck
from nets.layers.composite import Composite, Part, chain
from nets.layers.squeeze_excitation import SqueezeExcitation
from nets.spec.values import Value
from tests.nets.builders import network

LINEAR = {"type": "linear", "out": 3}


class Gated(Composite):
    """A bottleneck with a gate behind it: composites in a composite."""

    type: Literal["gated"] = "gated"

    takes = ("image",)

    def expand(self, *inputs: Value) -> tuple[Part, ...]:
        return chain(("body", Bottleneck(out_channels=inputs[0].channels)), ("gate", SqueezeExcitation(ratio=2)))


@pytest.fixture
def gated(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setitem(LAYERS, "gated", Gated)
    return {"type": "gated", "name": "g"}


def test_a_composite_may_be_made_of_composites(gated: dict[str, Any]) -> None:
    a = network(gated, {"type": "gated", "shares": "g", "inputs": "g"}, LINEAR, shape=(4, 4, 4))
    ids = [node.id for node in a.graph.nodes]
    assert ids[:2] == ["g.body.conv1", "g.body.bn1"] and "g.gate.fc1" in ids
    nodes = a.graph.by_id
    assert nodes["g.gate.mean"].inputs == ("g.body.relu3",) and nodes["gated_1.body.conv1"].inputs == (
        "g.gate.weighed",
    )
    assert nodes["gated_1.gate.fc2"].shares == "g.gate.fc2"
    turns = [node.turn for node in a.graph.nodes if node.draw == (0,) and node.arrays]
    assert len(turns) == len(set(turns)) == 8
    cost = Gated().cost(Value("image", (4, 4, 4)))
    assert totals(a.graph, 1).macs_forward == 2 * cost.macs + 64 * 3
    assert cost.macs == 16 * (4 * 1 + 9 + 4) + 2 * 4 * 2 and cost.gives == 64


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        ({"type": "bottleneck", "out_channels": 6}, r"layers\[0\].expansion: must divide the 6 channels of the output, got 4"),
        ({"type": "bottleneck", "out_channels": 8, "groups": 3}, r"groups: must divide the 2 channels of the 3 x 3 conv"),
        ({"type": "bottleneck", "out_channels": 8, "in_channels": 2}, "set in_channels to 3, or leave it out"),
        ({"type": "invertedresidual", "out_channels": 3, "kernel_size": 4}, "must be odd, so that half of it fits .* got 4"),
        ({"type": "invertedresidual", "out_channels": 3, "activation": "tanh"}, "activation"),
        ({"type": "squeezeexcitation", "squeeze_channels": 0}, "squeeze_channels: must be at least 1, got 0"),
        ({"type": "denseblock", "num_layers": 0}, "num_layers: must be at least 1, got 0"),
        ({"type": "denseblock", "num_layers": 2, "drop_rate": 1}, "drop_rate: must be less than 1, got 1"),
        ({"type": "convmixerblock", "kernel_size": 31}, "spans 31 pixels of a side of 8"),
        (
            {"type": "residual_block", "out_channels": 3, "kernel_size": 2, "padding": "symmetric"},
            "padding: symmetric has half an odd kernel on each side, and kernel_size is 2; set padding to same",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said_of_the_whole(layer: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError, match=said) as caught:
        network(layer, LINEAR, shape=(3, 8, 8))
    assert len(caught.value.problems) == 1


def test_a_gate_divides_its_channels_and_says_by_how_much() -> None:
    a = network({"type": "squeezeexcitation"}, LINEAR, shape=(48, 2, 2))
    sent = a.to_json()["layers"][0]
    assert (sent["squeeze_channels"], sent["ratio"]) == (3, 16)
    assert parse_architecture(a.to_json()).graph == a.graph
    narrow = network({"type": "squeezeexcitation"}, LINEAR, shape=(4, 2, 2))
    assert narrow.to_json()["layers"][0]["squeeze_channels"] == 1
