"""What a network costs: trained numbers, and floating point operations, counted layer by layer.

Never by XLA's own count: it reads a loop as one of its turns.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import NamedTuple

from nets.architecture.graph import INPUT, Graph, Node

DEFINITION = (
    "macs: multiply-adds of convolutions and matrix products; flops: 2 for each. Biases, norms, pools, activations, "
    "dropout, the loss and the optimizer count nothing, nor does what is computed twice. A step of training: the way "
    "forward, the gradients of all weights, and those of what layers read, except before the first trained weights."
)


class LayerCost(NamedTuple):
    """What a layer costs, with its adapters and parts; of one sample, where the number of samples matters.

    params: trained numbers of its own. flops_backward: of both gradients, as far as they are computed.
    activation_bytes: of what comes out. held_bytes: of all that is kept for the way back.
    """

    params: int
    macs: int
    flops: int
    flops_backward: int
    activation_bytes: int
    held_bytes: int


class Totals(NamedTuple):
    """What a network costs. All but the step of training are of one sample."""

    params: int
    macs_forward: int
    flops_forward: int
    flops_train_step: int


def parameters(graph: Graph) -> int:
    """How many trained numbers there are; those that several layers share count once."""
    return sum(map(own_parameters, graph.nodes))


def own_parameters(node: Node) -> int:
    """How many trained numbers a node has for itself."""
    return sum(math.prod(p.shape) for p in node.arrays.parameters.values())


def macs_forward(graph: Graph) -> int:
    """Multiply-adds of one sample's way forward. Shared weights count in each of their places."""
    return sum(node.cost.macs for node in graph.nodes)


def flops_forward(graph: Graph) -> int:
    """Floating point operations of one sample's way forward: two for each multiply-add."""
    return 2 * macs_forward(graph)


def flops_backward(graph: Graph) -> dict[str, int]:
    """Floating point operations of one sample's way back, by node.

    The gradient of what a node reads is computed where anything before it is trained: never that of the input.
    """
    trained = {INPUT: False}  # by id: whether what comes out depends on trained weights
    found = {}
    for node in graph.nodes:
        asked = any(trained[name] for name in node.inputs)
        trained[node.id] = asked or node.shares is not None or bool(node.arrays.parameters)
        found[node.id] = node.cost.flops_backward(to_inputs=asked)
    return found


def flops_train_step(graph: Graph, batch: int) -> int:
    """Floating point operations of one step of training with `batch` samples."""
    return batch * (flops_forward(graph) + sum(flops_backward(graph).values()))


def totals(graph: Graph, batch: int) -> Totals:
    """All of them. `batch`: samples of a step of training."""
    return Totals(parameters(graph), macs_forward(graph), flops_forward(graph), flops_train_step(graph, batch))


def by_layer(graph: Graph, layers: Collection[str]) -> Mapping[str, LayerCost]:
    """The cost of each layer as written, by its id. `layers`: the ids of all of them (`Applied.id`).

    Nodes that stand for parts of a layer, and those that adapt what it reads, have its id and a dot before theirs.
    """
    back = flops_backward(graph)
    found = dict.fromkeys(layers, LayerCost(0, 0, 0, 0, 0, 0))
    for node in graph.nodes:
        owner = node.id
        while owner and owner not in found:
            owner = owner.rpartition(".")[0]
        cost, sums = node.cost, found[owner]
        found[owner] = LayerCost(
            params=sums.params + own_parameters(node),
            macs=sums.macs + cost.macs,
            flops=sums.flops + cost.flops,
            flops_backward=sums.flops_backward + back[node.id],
            activation_bytes=cost.activation_bytes,  # of the last of its nodes in the end
            held_bytes=sums.held_bytes + cost.held_bytes,
        )
    return found
