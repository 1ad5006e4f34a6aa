"""Files are flax's own, and no array is copied on its way into one."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flax import serialization

from nets import packed as module
from nets.checkpoint import save_weights
from nets.packed import packed

TREE: dict[str, Any] = {
    "state": {"b": np.arange(600_000, dtype=np.float32).reshape(200, 3, 1000), "a": np.ones((), np.int32)},
    "none": np.zeros((0, 3), np.float32),
    "times": [1.5, 2],
    "owner": "größer",
    "many": {str(i): i for i in range(20)},
    "very many": {str(i): 1 for i in range(70_000)},
    "kept": {},
}


def test_the_bytes_are_those_of_flax() -> None:
    assert b"".join(packed(TREE)) == serialization.msgpack_serialize(TREE)


def test_an_array_too_large_for_one_length_comes_back_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 1 << 20)
    restored = serialization.msgpack_restore(b"".join(packed(TREE)))
    assert np.array_equal(restored["state"]["b"], TREE["state"]["b"])


def test_writing_weights_takes_no_memory_of_their_size(tmp_path: Path) -> None:
    weights = {"params": {"linear_0": {"kernel": np.ones((4000, 4000), np.float32)}}, "batch_stats": {}}
    tracemalloc.start()
    save_weights(tmp_path / "weights", weights)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5_000_000 < 64_000_000 < (tmp_path / "weights").stat().st_size
