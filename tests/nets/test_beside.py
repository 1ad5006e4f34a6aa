"""What is expected of an optimizer's products and of metrics."""

from __future__ import annotations

from typing import Any

from nets.hyperparams.hyperparams import parse_hyperparams
from nets.inspection import beside
from nets.training.workload import workload_of
from tests.nets.builders import network

NET = network({"type": "conv2d", "out_channels": 4, "kernel_size": 3}, {"type": "linear", "name": "head", "out": 3})


def seconds(**optimizer: Any) -> float:
    h = parse_hyperparams({"optimizer": optimizer, "batch_size": 16})
    return beside.stepping(workload_of(NET, h, train=64, samples=80), 64)


def test_the_products_of_muon_are_counted() -> None:
    """The kernel of the convolution is a matrix of 9 by 4 numbers, that of the dense layer one of 144 by 3."""
    of = parse_hyperparams({"optimizer": {"type": "muon", "ns_steps": 3}})
    assert beside.products(of, NET.graph) == 3 * (4 * 16 * 9 + 2 * 64 + 4 * 9 * 144 + 2 * 27)
    assert seconds(type="sgd") == 0 < seconds(type="muon") < seconds(type="muon", ns_steps=50)


def test_metrics_take_time_by_samples_and_classes() -> None:
    dear, cheap = (parse_hyperparams({"metrics": [name]}) for name in ("auroc", "accuracy"))
    assert beside.measuring(dear, 10, 1000) > 20 * beside.measuring(cheap, 10, 1000) > 0
    assert beside.measuring(parse_hyperparams({}), 10, 1000) == 0
    assert beside.measuring(dear, 20, 1000) == 2 * beside.measuring(dear, 10, 1000)
