"""What networks cost: trained numbers, multiply-adds and the operations of a step, layer by layer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nets.architecture.cost import by_layer, flops_backward, flops_train_step, totals
from nets.architecture.read import parse_architecture
from nets.layers import LAYERS
from nets.layers.base import Cost, Example
from nets.spec.values import sequence
from tests.nets.builders import network
from tests.nets.networks import RESNET_20_PARAMETERS
from tests.nets.public_networks import NAMES, architecture

LINEAR = {"type": "linear", "out": 3}
OF_LAYERS = json.loads((Path(__file__).parent / "flops_of_layers.json").read_text())["layers"]


def costs(*layers: Any, shape: tuple[int, int, int] = (1, 8, 8)) -> Any:
    a = network(*layers, shape=shape)
    return by_layer(a.graph, [one.id for one in a.applied])


def test_a_step_computes_no_gradient_of_the_input() -> None:
    a = network({"type": "relu"}, {"type": "linear", "out": 5}, LINEAR)
    first, last = 2 * 64 * 5, 2 * 5 * 3
    assert totals(a.graph, 7) == (64 * 5 + 5 + 5 * 3 + 3, 64 * 5 + 5 * 3, first + last, 7 * (2 * first + 3 * last))
    a = network(LINEAR)
    assert flops_train_step(a.graph, 2) == 2 * 2 * 2 * 64 * 3


def test_gradients_lead_back_to_whatever_is_trained_through_branches_and_shared_weights() -> None:
    eye = {"type": "linear", "out": 4, "name": "eye", "inputs": "input"}
    again = {"type": "linear", "shares": "eye", "name": "again", "inputs": "input"}
    a = network(eye, again, {"type": "add", "inputs": ["eye", "again"]}, {**LINEAR, "name": "end"})
    back = flops_backward(a.graph)
    assert (back["eye"], back["again"], back["end"]) == (2 * 64 * 4, 2 * 64 * 4, 2 * 2 * 4 * 3)
    found = by_layer(a.graph, [one.id for one in a.applied])
    assert (found["eye"].params, found["again"].params) == (64 * 4 + 4, 0)
    assert found["eye"].macs == found["again"].macs == 64 * 4


def test_a_layer_costs_what_its_parts_and_its_adapters_do() -> None:
    block = {"type": "residual_block", "out_channels": 6, "stride": 2}
    found = costs({"type": "conv2d", "out_channels": 4, "kernel_size": 3, "padding": "same"}, block, LINEAR)
    conv, block_cost, end = found.values()
    assert (conv.params, conv.macs, conv.flops_backward) == (9 * 4 + 4, 64 * 9 * 4, 2 * 64 * 9 * 4)
    assert block_cost.macs == 16 * (9 * 4 * 6 + 9 * 6 * 6 + 4 * 6)
    assert block_cost.params == 9 * 4 * 6 + 9 * 6 * 6 + 4 * 6 + 3 * 6 + 2 * 2 * 6
    assert (block_cost.flops, block_cost.flops_backward) == (2 * block_cost.macs, 4 * block_cost.macs)
    assert (end.macs, end.params) == (96 * 3, 96 * 3 + 3)
    assert [each.activation_bytes for each in (conv, block_cost, end)] == [4 * 256, 4 * 96, 4 * 3]
    assert block_cost.held_bytes == 8 * 4 * 96 and end.held_bytes == 4 * (96 + 3)


def test_layers_of_combinators_count_in_each_of_their_places() -> None:
    repeated = {"type": "repeat", "times": 3, "layers": [{"type": "linear", "out": 5}, {"type": "relu"}]}
    found = costs(repeated, LINEAR)
    macs = {name: cost.macs for name, cost in found.items()}
    assert macs["repeat_0.0.linear_0"] == 64 * 5 and macs["repeat_0.2.linear_0"] == 25 and len(macs) == 7
    parallel = {"type": "parallel", "branches": [[{"type": "linear", "out": 2}], [{"type": "linear", "out": 3}]]}
    found = costs({"type": "flatten"}, parallel, LINEAR)
    assert found["parallel_1.concat"].activation_bytes == 4 * 5 and found["parallel_1.concat"].macs == 0


@pytest.mark.parametrize(
    "example",
    [
        pytest.param(each, id=f"{name}-{i}")
        for name, cls in LAYERS.items()
        for i, each in enumerate(cls.examples)
        if each.takes[0].kind in cls.takes  # others are adapted first
    ],
)
def test_every_type_says_what_it_costs(example: Example) -> None:
    """A composite says the sum of its parts, which the graph counts one by one."""
    layer = LAYERS.parse(example.json, ()).filled(*example.takes)
    cost = layer.cost(*example.takes)
    assert (cost.gives, cost.activation_bytes) == (example.gives.size, 4 * example.gives.size)
    assert cost.held >= cost.gives and cost.flops == 2 * cost.macs
    if len(example.takes) == 1 and example.gives.kind != "sequence":
        a = parse_architecture({"input_shape": list(example.takes[0].shape), "layers": [dict(example.json), LINEAR]})
        assert totals(a.graph, 1).macs_forward == cost.macs + 3 * example.gives.size


@pytest.mark.parametrize("row", OF_LAYERS, ids=lambda row: json.dumps(row["layer"]))
def test_recurrent_layers_and_attention_cost_what_pytorch_counts(row: dict[str, Any]) -> None:
    assert cost_of(row["layer"], *row["takes"]).flops == row["flops"]


def cost_of(layer: dict[str, Any], *takes: list[int]) -> Cost:
    values = [sequence(*shape) for shape in takes]
    return LAYERS.parse(layer, ()).filled(*values).cost(*values)


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("sides", [1, 2])
def test_a_projected_lstm_costs_its_products(layers: int, sides: int) -> None:
    """Counted by hand, of 5 steps of 6 features: gates of inputs and states, and the projection."""
    steps, features, hidden, projected = 5, 6, 4, 3
    layer = {"type": "lstm", "hidden_size": hidden, "proj_size": projected, "num_layers": layers}
    comes = [features, *[sides * projected] * (layers - 1)]
    each = [4 * hidden * (enters + projected) + hidden * projected for enters in comes]
    found = cost_of({**layer, "bidirectional": sides == 2}, [steps, features])
    assert found.macs == steps * sides * sum(each)


PYTORCH = json.loads((Path(__file__).parent / "flops_by_pytorch.json").read_text())["networks"]
PARAMETERS = {  # as their sources tell them, or by hand
    "keras-mnist-convnet": 34_826,
    "keras-mnist-mlp": 669_706,
    "tensorflow-quickstart": 101_770,
    "pytorch-mnist": 1_199_882,
    "tensorflow-cifar10-tutorial": 122_570,
    "torchinfo example": 21_840,
    "caffe-lenet": 431_080,
    "pytorch-cifar10-tutorial": 62_006,
    "keras-cifar10-cnn": 1_250_858,
    "resnet-20": RESNET_20_PARAMETERS,
    "resnet-18": 11_173_962,
    "densenet-bc-100-12": 769_162,
}


@pytest.mark.parametrize("name", NAMES)
def test_counts_are_those_of_pytorch(name: str) -> None:
    """All of them to the last digit, but for one: PyTorch counts the gradient of a grouped convolution's weights as if
    every channel met every other one.
    """
    graph = parse_architecture(architecture(name)).graph
    found, theirs = totals(graph, 64), PYTORCH[name]
    assert found.params == theirs["parameters"] == PARAMETERS.get(name, found.params)
    assert found.flops_forward == 2 * found.macs_forward
    if theirs["flops_forward"] is not None:
        assert found.flops_forward == theirs["flops_forward"]
    if theirs["flops_forward_backward"] is not None:
        beyond = sum(
            (at.groups - 1) * node.cost.flops
            for node in graph.nodes
            for _, at, _ in node.layer.convolutions(*node.takes)
        )
        assert found.flops_train_step == 64 * (theirs["flops_forward_backward"] - beyond)


def test_every_public_network_was_counted_by_pytorch() -> None:
    assert set(NAMES) <= PYTORCH.keys() and PARAMETERS.keys() < PYTORCH.keys()
