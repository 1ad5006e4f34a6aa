"""A residual block is the network that a client could write out: the same numbers, gradients and fused stages."""

from __future__ import annotations

from typing import Any

import jax
import pytest

from nets.architecture.architecture import Architecture
from nets.architecture.read import parse_architecture
from nets.kernels import cpu_plan
from nets.kernels.cpu.machine import Machine
from nets.kernels.schedule import schedule
from nets.network import Variables
from tests.nets.kernels.common import CPU, assert_trained_alike, trained, variables

Json = dict[str, Any]
FUSED = cpu_plan(Machine("bfloat16"))  # with a bfloat16 machine, for which a relu is always fused
START: Json = {"type": "conv2d", "out_channels": 3, "kernel_size": 3, "padding": "same", "name": "start"}
HEAD: list[Json] = [{"type": "maxpool2d", "kernel_size": 2, "padding": "same"}, {"type": "linear", "out": 3}]


def written(channels: int, skip: list[Json], *, stride: int = 1, bias: bool = True) -> list[Json]:
    """The layers of a block under the names of its parts, its shortcut from `skip`."""

    def conv(name: str, stride: int) -> Json:
        kernel = {"kernel_size": 3, "stride": stride, "padding": "same", "bias": bias}
        return {"type": "conv2d", "out_channels": channels, **kernel, "name": name}

    layers = [{**layer, "name": "skip" if layer is skip[-1] else f"skip{i}"} for i, layer in enumerate(skip)]
    for first in layers[:1]:
        first["inputs"] = ["start"]
    return [
        *layers,
        {**conv("conv1", stride), "inputs": ["start"]},
        {"type": "batchnorm2d", "name": "norm1"},
        {"type": "relu"},
        conv("conv2", 1),
        {"type": "batchnorm2d", "name": "norm2"},
        {"type": "add", "inputs": ["norm2", "skip" if skip else "start"]},
        {"type": "relu"},
    ]


def projection(channels: int, stride: int, **fields: Any) -> Json:
    return {"type": "conv2d", "out_channels": channels, "kernel_size": 1, "stride": stride, **fields}


PIXELS: Json = {"type": "maxpool2d", "kernel_size": 1, "stride": 2}
# As many channels of zeros behind those that there are: of each pixel its difference from itself.
ZEROS: Json = {"type": "parallel", "merge": "subtract", "branches": [[], []]}
PADDED: Json = {"type": "parallel", "branches": [[], [ZEROS]]}
BLOCKS: dict[str, tuple[Json, list[Json]]] = {
    "same shape": ({"out_channels": 3}, written(3, [])),
    "without biases": ({"out_channels": 3, "bias": False}, written(3, [], bias=False)),
    "stride": ({"out_channels": 5, "stride": 2}, written(5, [projection(5, 2)], stride=2)),
    "stride without biases": (
        {"out_channels": 5, "stride": 2, "bias": False},
        written(5, [projection(5, 2, bias=False)], stride=2, bias=False),
    ),
    "pad": ({"out_channels": 6, "shortcut": "pad"}, written(6, [PADDED])),
    "pad at a stride": (
        {"out_channels": 6, "stride": 2, "shortcut": "pad", "bias": False},
        written(6, [PIXELS, PADDED], stride=2, bias=False),
    ),
}


def both(name: str) -> tuple[Architecture, Architecture]:
    fields, layers = BLOCKS[name]
    block = {"type": "residual_block", **fields, "name": "block"}
    frame = {"input_shape": [2, 7, 6]}
    ours, theirs = ({**frame, "layers": [START, *middle, *HEAD]} for middle in ([block], layers))
    return parse_architecture(ours), parse_architecture(theirs)


def with_names_of(a: Architecture, tree: Variables) -> Variables:
    """Arrays of a block under the names of the network written out; the last layer's under its own."""
    name_of = {"block." + name: name for name in ("conv1", "norm1", "conv2", "norm2", "skip")}
    last = next(node.id for node in reversed(a.graph.nodes) if node.arrays.parameters)
    return {
        collection: {name_of.get(node, last if node.startswith("linear") else node): arrays for node, arrays in nodes.items()}
        for collection, nodes in tree.items()
    }  # fmt: skip


@pytest.mark.parametrize("name", BLOCKS)
def test_a_block_is_the_network_written_out(name: str) -> None:
    block, by_hand = both(name)
    assert block.parameters == by_hand.parameters
    start = variables(block)
    y, statistics, gradients = trained(block, CPU["float32"], start=start)
    renamed = with_names_of(by_hand, {"batch_stats": statistics, "params": gradients})
    expected = trained(by_hand, CPU["float32"], start=with_names_of(by_hand, start))
    assert_trained_alike((y, renamed["batch_stats"], renamed["params"]), expected)
    assert all(abs(gradient).max() > 0 for gradient in jax.tree.leaves(renamed["params"]["conv1"]["kernel"]))


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("name", BLOCKS)
def test_a_block_is_fused_as_the_network_written_out(name: str, train: bool) -> None:
    def fused(a: Architecture) -> list[str]:
        stages = schedule(a.graph, FUSED, batch=8, train=train)
        return ["+".join(node.layer.type for node in stage.nodes) for stage in stages if len(stage.nodes) > 1]

    block, by_hand = map(fused, both(name))
    assert block == by_hand == ["conv2d+batchnorm2d+relu", "conv2d+batchnorm2d+add+relu"]
