"""What computes a network, in words: the same as what runs."""

from __future__ import annotations

from typing import Any

import pytest

from nets.kernels import plan_for
from nets.kernels.forms import Form, forms
from nets.kernels.schedule import schedule
from tests.nets.builders import network

CONV: dict[str, Any] = {"type": "conv2d", "out_channels": 4, "kernel_size": 3, "padding": "same"}
OUT = {"type": "linear", "out": 3}


def told(layers: list[dict[str, Any]], platform: str = "cpu", **how: Any) -> list[Form]:
    plan = plan_for(platform, training=True, kernels=how.pop("kernels", "auto"))
    return list(forms(network(*layers).graph, plan, **{"batch": 64, "train": True, **how}))


def test_layers_computed_as_one_are_told_as_one() -> None:
    layers = [CONV, {"type": "relu"}, {"type": "maxpool2d", "kernel_size": 2}, {"type": "dropout"}, OUT]
    fused, dropout, *others = told([*layers, {"type": "softmax"}], kernels="products")
    assert (fused["form"], fused["algorithm"]) == ("fusion", "before_pool")
    assert fused["layers"] == ["conv2d_0", "relu_1", "maxpool2d_2"]
    assert fused["does"].startswith("conv2d + relu + maxpool2d as one: ")
    assert (dropout["form"], dropout["layers"]) == ("xla", ["dropout_3"])
    assert [each["layers"] for each in others] == [["linear_4.flatten"], ["linear_4"]]  # and no softmax


@pytest.mark.parametrize(("platform", "form", "algorithm"), [("cpu", "kernel", "toom_cook"), ("gpu", "xla", "xla")])
def test_a_convolution_is_told_by_its_algorithm(platform: str, form: str, algorithm: str) -> None:
    deep = {**CONV, "out_channels": 64}
    layers = [deep, {"type": "sigmoid"}, deep, {"type": "sigmoid"}, OUT]
    found = {name: each for each in told(layers, platform, kernels="products") for name in each["layers"]}
    assert found["conv2d_2"]["form"] == form
    assert found["conv2d_2"]["algorithm"] is not None
    assert found["sigmoid_1"] == {**found["sigmoid_3"], "layers": ["sigmoid_1"]}
    if platform == "gpu":
        assert found["conv2d_2"]["algorithm"] == algorithm


def test_equal_blocks_are_told_as_a_loop() -> None:
    blocks = {"type": "repeat", "times": 10, "layers": [CONV, {"type": "batchnorm2d"}, {"type": "tanh"}]}
    found = told([CONV, blocks, OUT])
    assert {each["loop"] for each in found if each["layers"][0].startswith("repeat")} == {10}
    assert found[0]["loop"] is None


def test_every_stage_is_told_once() -> None:
    a = network(CONV, {"type": "batchnorm2d"}, {"type": "relu"}, {"type": "maxpool2d", "kernel_size": 2}, OUT)
    plan = plan_for("cpu", training=True)
    for train in (True, False):
        stages = schedule(a.graph, plan, batch=32, train=train)
        expected = [[node.id for node in stage.nodes] for stage in stages]
        assert [each["layers"] for each in forms(a.graph, plan, batch=32, train=train)] == expected
