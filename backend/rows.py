"""A record as a row of SQLite, and back."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from backend.records import Json, ModelRecord, RunRecord, StoredEvent

JSON_COLUMNS = frozenset({"architecture", "hyperparams", "sample_predictions", "warnings", "versions"})
BOOL_COLUMNS = frozenset({"trained", "dataset_named", "queued", "resumable"})
MODEL_COLUMNS = tuple(
    field.name for field in fields(ModelRecord) if field.name not in {"runs_total", "highest_accuracy", "latest_run"}
)
LATEST_COLUMNS = ("run_id", "completed_at", "test_accuracy", "saved_model_path")
RUN_COLUMNS = tuple(field.name for field in fields(RunRecord) if field.name != "metrics")


def dumps(value: object) -> str:
    """JSON as it is stored and sent: compact, finite numbers only (`ValueError` otherwise)."""
    return json.dumps(value, allow_nan=False, separators=(",", ":"))


def to_columns(values: Mapping[str, Any], *, allowed: Iterable[str]) -> dict[str, Any]:
    """Field values as SQLite takes them; `TypeError` for a name that is no column, since names go into the SQL."""
    if unknown := values.keys() - set(allowed):
        raise TypeError(f"no such column: {', '.join(sorted(unknown))}")
    return {
        name: dumps(value) if name in JSON_COLUMNS and value is not None else value for name, value in values.items()
    }


def _values(row: sqlite3.Row) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in dict(row).items():
        if name in BOOL_COLUMNS:
            values[name] = bool(value)
        else:
            values[name] = json.loads(value) if name in JSON_COLUMNS and value is not None else value
    return values


def to_model(row: sqlite3.Row) -> ModelRecord:
    values = _values(row)
    latest = {name: values.pop(f"latest_{name}") for name in LATEST_COLUMNS}
    return ModelRecord(**values, latest_run=latest if latest["run_id"] else None)


def to_run(row: sqlite3.Row, metrics: list[Json]) -> RunRecord:
    return RunRecord(**_values(row), metrics=metrics)


def to_event(row: sqlite3.Row) -> StoredEvent:
    return StoredEvent(id=row["id"], name=row["name"], data=json.loads(row["data"]))
