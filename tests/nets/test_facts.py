"""What a run tells of how it was computed is described once, and read without JAX."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from pydantic import TypeAdapter

from nets.facts import Compilation, Environment, PeakMemory, Timing


@pytest.mark.parametrize("fact", [Compilation, Environment, PeakMemory, Timing])
def test_each_is_described(fact: type[Any]) -> None:
    schema = TypeAdapter(fact).json_schema()
    assert schema["description"] and set(schema["required"]) == set(schema["properties"])
    assert any("description" in field for field in schema["properties"].values())


def test_records_are_read_without_jax() -> None:
    check = "import backend.state.records, sys; assert not {'jax', 'flax', 'pydantic'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", check], check=True, timeout=60)
