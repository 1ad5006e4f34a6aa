"""Sequences that are computed as images of one row, and give what their layers say."""

from __future__ import annotations

from typing import Any

import pytest

from nets.architecture.read import parse_architecture
from nets.kernels.schedule import schedule
from tests.nets.kernels.common import CPU, XLA, assert_trained_alike, trained

CONV: dict[str, Any] = {"type": "conv1d", "out_channels": 6, "kernel_size": 3, "padding": 1}
NORM, RELU = {"type": "batchnorm1d"}, {"type": "relu"}
END = [{"type": "globalavgpool"}, {"type": "linear", "out": 3}]
NETWORKS = {
    "norms": [CONV, NORM, RELU, {"type": "maxpool1d", "kernel_size": 2}, {**CONV, "stride": 2}, NORM],
    "skips": [CONV, NORM, RELU, {"type": "residual", "layers": [CONV, NORM]}, RELU, {"type": "linear", "out": 4}],
    "none": [CONV, RELU, {"type": "convtranspose1d", "out_channels": 4, "kernel_size": 2, "stride": 2}, NORM, RELU],
}


@pytest.mark.parametrize("name", NETWORKS)
def test_they_train_as_their_layers_say(name: str) -> None:
    a = parse_architecture({"input_shape": [10, 3], "layers": [*NETWORKS[name], *END]})
    assert_trained_alike(trained(a, CPU["float32"]), trained(a, XLA["float32"]), of_all=1e-5)


def test_a_convolution_takes_the_norm_and_the_relu_behind_it_along() -> None:
    a = parse_architecture({"input_shape": [10, 3], "layers": [*NETWORKS["norms"], *END]})
    stages = schedule(a.graph, CPU["float32"], batch=8, train=True)
    assert [len(stage.nodes) for stage in stages][:3] == [3, 1, 2]
