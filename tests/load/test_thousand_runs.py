"""A thousand runs in a row leave nothing behind in memory: no program, no log, no thread, no file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from backend.config import Settings
from backend.demo.local_server import LocalServer, free_port
from tests.load.clients import Footprint, worker_of

RUNS = 1000
FIRST = 50  # after which memory must not grow: by then the cache of compiled programs is full
NEW_AT_FIRST, NEW_EVERY = 26, 20  # networks that have to be compiled: those first ones, then one in so many
MOST_GROWTH = 0.10


def body(number: int) -> dict[str, Any]:
    """The `number`-th run: mostly of a network that was trained before. All are of about the same size."""
    fresh = number < NEW_AT_FIRST or number % NEW_EVERY == 0
    which = number if fresh else NEW_AT_FIRST - 1 - number % 3
    wide, narrow = 32 + which % 32, 16 + which // 32
    layers = [{"type": "linear", "out": wide}, {"type": "linear", "out": narrow}, {"type": "linear", "out": 10}]
    hyperparams = {"epochs": 1, "batch_size": 64, "max_samples": 128, "dataset_type": "digits"}
    return {"architecture": {"input_size": 784, "layers": layers}, "hyperparams": hyperparams}


@pytest.mark.slow
def test_1000_runs_do_not_grow_the_server(tmp_path: Path) -> None:
    settings = Settings(port=free_port(first=0), state_dir=tmp_path / "s", data_dir=tmp_path / "d", log_level="warning")
    with LocalServer(settings) as server:
        server.wait_until_healthy()
        worker, marks = worker_of(server), {}
        for number in range(RUNS):
            started = server.client.post("/api/train", body(number))
            *_, last = server.client.events(started["events_url"])
            assert last.data["state"] == "succeeded", last
            if number + 1 == FIRST or (number + 1) % 250 == 0:
                marks[number + 1] = Footprint.of(worker)
                print(f"\nafter {number + 1} runs: {marks[number + 1]}", flush=True)
    first, last_mark = marks[FIRST], marks[RUNS]
    assert last_mark.megabytes < (1 + MOST_GROWTH) * first.megabytes
    assert last_mark.threads <= first.threads + 4
    assert last_mark.files <= first.files + 4
