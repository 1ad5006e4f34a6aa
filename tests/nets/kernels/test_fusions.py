"""Neighbouring layers computed as one: the same numbers as one by one, found all over a graph, longest first."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.architecture.architecture import Architecture
from nets.architecture.read import parse_architecture
from nets.kernels import cpu_plan
from nets.kernels.cpu.fusions import FUSIONS
from nets.kernels.cpu.machine import Machine
from nets.kernels.plan import Fusion, Plan
from nets.kernels.schedule import schedule
from tests.nets.kernels.common import assert_near, trained

Json = dict[str, Any]
FUSED = cpu_plan(Machine("bfloat16"))  # with a bfloat16 machine, for which a relu is always fused
AS_FLOAT32 = cpu_plan(Machine())
LAYERS: dict[str, Json] = {
    "conv2d": {"type": "conv2d", "out_channels": 5, "kernel_size": 3, "padding": "same"},
    "maxpool2d": {"type": "maxpool2d", "kernel_size": 2},
}
HEAD: list[Json] = [{"type": "linear", "out": 3}]


def around(fusion: Fusion) -> Architecture:
    """A network that holds the chain of a fusion once, between layers that it does not take."""
    layers: list[Json] = [{**LAYERS["conv2d"], "name": "before"}, {"type": "tanh"}]
    for cls in fusion.chain:
        kind = cls.model_fields["type"].default
        if kind == "add":
            layers[-1]["name"] = "last"
            layers.append({"type": "add", "inputs": ["last", "before"]})
        else:
            layers.append(dict(LAYERS.get(kind, {"type": kind})))
    return parse_architecture({"input_shape": [1, 8, 8], "layers": [*layers, {"type": "tanh"}, *HEAD]})


def found(a: Architecture, plan: Plan, *, batch: int = 8, train: bool = True) -> list[str]:
    """The stages of several layers, as `conv2d+relu`."""
    stages = schedule(a.graph, plan, batch=batch, train=train)
    assert sorted(node.id for stage in stages for node in stage.nodes) == sorted(node.id for node in a.graph.computed)
    return ["+".join(node.layer.type for node in stage.nodes) for stage in stages if len(stage.nodes) > 1]


@pytest.mark.parametrize("fusion", FUSIONS, ids=lambda f: "+".join(cls.__name__ for cls in f.chain))
def test_fused_is_unfused(fusion: Fusion) -> None:
    a = around(fusion)
    kinds = "+".join(cls.model_fields["type"].default for cls in fusion.chain)
    assert kinds in found(a, FUSED)
    expected = trained(a, replace(AS_FLOAT32, fusions=()))
    fused = replace(AS_FLOAT32, fusions=(replace(fusion, fits=lambda site: True),))
    ours = trained(a, fused)
    assert jax.tree.structure(ours) == jax.tree.structure(expected)
    assert_near(jax.tree.leaves(ours[:2]), jax.tree.leaves(expected[:2]), 2e-5)
    largest = max(float(jnp.abs(g).max()) for g in jax.tree.leaves(expected[2]))
    for one, other in zip(jax.tree.leaves(ours[2]), jax.tree.leaves(expected[2]), strict=True):
        # Gradients that nearly cancel in a norm are measured against the largest of all.
        np.testing.assert_allclose(one, other, rtol=0, atol=2e-5 * max(float(jnp.abs(other).max()), largest))


def test_a_skip_network_is_fused_as_a_residual_block_is() -> None:
    conv: Json = {"type": "conv2d", "out_channels": 4, "kernel_size": 3, "padding": "same"}
    first: Json = {**conv, "name": "first"}
    written: list[Json] = [
        first,
        conv,
        {"type": "batchnorm2d"},
        {"type": "relu"},
        conv,
        {"type": "batchnorm2d", "name": "second"},
        {"type": "add", "inputs": ["second", "first"]},
        {"type": "relu"},
        *HEAD,
    ]
    block: list[Json] = [first, {"type": "residual_block", "out_channels": 4}, *HEAD]
    both = [parse_architecture({"input_shape": [1, 8, 8], "layers": layers}) for layers in (written, block)]
    assert found(both[0], FUSED) == found(both[1], FUSED)
    assert found(both[1], FUSED) == ["conv2d+batchnorm2d+relu", "conv2d+batchnorm2d+add+relu"]
    assert found(both[0], FUSED, train=False) == found(both[1], FUSED, train=False)


def test_a_norm_takes_what_no_relu_has_rounded() -> None:
    layers: list[Json] = [LAYERS["conv2d"], {"type": "relu"}, {"type": "batchnorm2d"}, {"type": "relu"}, *HEAD]
    assert found(parse_architecture({"input_shape": [1, 8, 8], "layers": layers}), FUSED) == ["batchnorm2d+relu"]
