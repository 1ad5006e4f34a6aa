"""Records, bodies and patience for the tests of the server's state."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from backend.events.wire import state_data
from backend.state.records import Json, ModelRecord, RunRecord, utc_now
from backend.state.store import Store

DEADLINE = 20.0  # seconds: far beyond what anything here takes
TIMES = ("epoch_time", "samples_per_sec", "eta_seconds", "run_id")
# Running statistics and random numbers: what a resume must carry over.
MLP = [
    {"type": "linear", "in": 784, "out": 12},
    {"type": "batchnorm1d"},
    {"type": "relu"},
    {"type": "dropout", "p": 0.3},
    {"type": "linear", "in": 12, "out": 10},
]
ARCHITECTURE: Json = {
    "input_size": 784,
    "input_channels": 1,
    "input_height": 28,
    "input_width": 28,
    "layers": [{"type": "flatten"}, {"type": "linear", "in": 784, "out": 10}, {"type": "softmax"}],
}

SUMMARY = {
    "model_id",
    "name",
    "description",
    "architecture",
    "hyperparams",
    "trained",
    "saved_model_path",
    "saved_model_exists",
    "last_trained_at",
    "created_at",
    "highest_accuracy",
    "made_for_run",
    "runs_total",
    "latest_run",
}

METRIC = {
    *("run_id", "epoch", "train_loss", "val_loss", "train_accuracy", "val_accuracy", "learning_rate", "epoch_time"),
    *("samples_per_sec", "progress", "eta_seconds"),
}


def a_model(model_id: str = "m_1", **fields: Any) -> ModelRecord:
    return ModelRecord(model_id=model_id, name="CNN", created_at=utc_now(), updated_at=utc_now(), **fields)


def a_run(run_id: str = "r_1", **fields: Any) -> RunRecord:
    record = RunRecord(
        run_id=run_id,
        model_id="m_1",
        state="queued",
        created_at=utc_now(),
        architecture=ARCHITECTURE,
        hyperparams={"epochs": 3},
        dataset="digits",
        dataset_named=True,
        queued=False,
        epochs_total=3,
        name="CNN",
    )
    return replace(record, **fields)


def add_run(store: Store, run_id: str = "r_1", **fields: Any) -> RunRecord:
    """Put a queued run, and its model if need be, into the store."""
    record = a_run(run_id, **fields)
    if store.get_model(record.model_id) is None:
        store.create_model(a_model(record.model_id))
    store.create_run(record, state_data(run_id, "queued"))
    return record


def untimed(metrics: list[Json]) -> list[Json]:
    """What two runs that trained alike have in common: all but times and ids."""
    return [{name: value for name, value in metric.items() if name not in TIMES} for metric in metrics]


def eventually(condition: Callable[[], object], *, what: str = "success", within: float = DEADLINE) -> None:
    """Wait until `condition` holds; the test fails if it does not."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"no {what} within {within:.0f} s"
        time.sleep(0.002)


def read_frame(frame: bytes) -> tuple[int | None, str, Json]:
    """One SSE frame: id, event name and data; a comment has the name ":", `retry` its own."""
    assert frame.endswith(b"\n\n") and frame.count(b"\n\n") == 1
    if frame.startswith(b":"):
        return None, ":", {}
    fields = dict(line.split(": ", 1) for line in frame.decode().rstrip("\n").split("\n"))
    if "retry" in fields:
        return None, "retry", {}
    return int(fields["id"]) if "id" in fields else None, fields["event"], json.loads(fields["data"])
