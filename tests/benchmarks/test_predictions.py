"""The networks whose predicted seconds are compared with what they take."""

from __future__ import annotations

from nets import inspect
from nets.calibration.networks import NETWORKS
from tests.benchmarks.predictions import WORDS, bodies


def test_every_network_can_be_trained_and_none_is_trained_by_a_calibration() -> None:
    calibrated = {network[0] for network in NETWORKS}
    assert calibrated.isdisjoint(words for _, words, *_ in WORDS)
    for name, body in bodies():
        assert inspect(body)["valid"], name
