"""Which row computes which layers: every layer once, what a stage reads before it, the longest chains first."""

from __future__ import annotations

from typing import Any

import pytest

from nets.architecture.graph import INPUT
from nets.architecture.read import parse_architecture
from nets.kernels import Plan
from nets.kernels.schedule import schedule
from tests.nets.kernels.common import CPU, XLA

Json = dict[str, Any]
CONV: Json = {"type": "conv2d", "out_channels": 4, "kernel_size": 3, "padding": "same"}
RELU: Json = {"type": "relu"}
NORM: Json = {"type": "batchnorm2d"}
POOL: Json = {"type": "maxpool2d", "kernel_size": 2}
HEAD: Json = {"type": "linear", "out": 3}
SKIP: list[Json] = [
    {**CONV, "name": "start"},
    CONV,
    {**NORM, "name": "long"},
    {"type": "add", "inputs": ["long", "start"]},
]
READ_TWICE: list[Json] = [{**CONV, "name": "c"}, {**RELU, "name": "r"}, {"type": "add", "inputs": ["c", "r"]}]
NETWORKS: dict[str, list[Json]] = {
    "chain": [CONV, RELU, NORM, POOL, CONV, NORM, RELU, POOL, HEAD, {"type": "softmax"}],
    "blocks": [
        CONV,
        {"type": "residual_block", "out_channels": 4},
        {"type": "residual_block", "out_channels": 6},
        HEAD,
    ],
    "skip": [*SKIP, RELU, HEAD],
    "read twice": [*READ_TWICE, HEAD],
}


def stages(layers: list[Json], plan: Plan, *, train: bool = True) -> Any:
    graph = parse_architecture({"input_shape": [1, 8, 8], "layers": layers}).graph
    found = schedule(graph, plan, batch=8, train=train)
    assert sorted(node.id for stage in found for node in stage.nodes) == sorted(node.id for node in graph.computed)
    given = {INPUT}
    for stage in found:
        assert given.issuperset(stage.inputs), "what a stage reads has been computed"
        given.add(stage.output)
    return found


def fused(layers: list[Json]) -> list[str]:
    """The stages of several layers, as `conv2d+relu`."""
    found = stages(layers, CPU["bfloat16"])  # for which a relu is always fused
    return ["+".join(node.layer.type for node in stage.nodes) for stage in found if len(stage.nodes) > 1]


@pytest.mark.parametrize("name", NETWORKS)
def test_every_layer_is_computed_once_behind_what_it_reads(name: str) -> None:
    for plan in (*CPU.values(), *XLA.values()):
        for train in (True, False):
            stages(NETWORKS[name], plan, train=train)


def test_the_longest_is_found_first_all_over_the_graph() -> None:
    """From left to right, the convolution of the shortcut would take the norm away from the sum."""
    assert fused(NETWORKS["skip"]) == ["conv2d+batchnorm2d+add+relu"]


def test_a_value_that_is_read_twice_is_not_fused_away() -> None:
    assert fused(NETWORKS["read twice"]) == []
