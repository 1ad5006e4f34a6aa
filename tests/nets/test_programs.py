"""Compiled programs are bounded, and freed when they give way."""

from __future__ import annotations

import gc
from collections import OrderedDict

import jax
import pytest

from nets import programs
from nets.hyperparams import parse_hyperparams
from nets.programs import compile_next, recipe, rehearse
from tests.nets.builders import network

KEPT = 4
SMALL_ONES = 10  # programs of JAX's own: keys, conversions


def executables() -> int:
    """Programs that the compiler's runtime holds."""
    gc.collect()
    return len(jax.local_devices()[0].client.live_executables())


@pytest.mark.slow
def test_programs_that_give_way_are_freed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "KEPT", KEPT)
    monkeypatch.setattr(programs, "CACHE", OrderedDict())
    before = executables()
    for width in range(3, 9):
        architecture = network({"type": "linear", "out": width}, {"type": "relu"}, {"type": "linear", "out": 3})
        made = recipe(architecture, parse_hyperparams({"batch_size": 8}), train=16, samples=32)
        while compile_next(made):
            pass
        rehearse(made)
        assert len(programs.CACHE) <= KEPT
        assert executables() <= before + KEPT + SMALL_ONES
    assert len(programs.CACHE) == KEPT
