"""Every network of the table is a request that the server takes."""

from __future__ import annotations

import pytest

from nets import parse_architecture, parse_hyperparams
from nets.benchmarks.networks import NETWORKS, body
from tests.nets.builders import REFERENCE


@pytest.mark.parametrize("name", NETWORKS)
def test_a_body_is_accepted(name: str) -> None:
    request = body(name, 32)
    parse_architecture(request["architecture"])
    assert parse_hyperparams(request["hyperparams"]).batch_size == 32


def test_the_reference_is_the_one_of_the_api() -> None:
    ours, theirs = body("reference")["architecture"]["layers"], REFERENCE["layers"]
    assert [layer["type"] for layer in ours] == [layer["type"] for layer in theirs]
    numbers = ("out_channels", "kernel_size", "in", "out", "p")
    assert all(a.get(name) == b.get(name) for a, b in zip(ours, theirs, strict=True) for name in numbers)
