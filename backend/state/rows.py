"""A record as a row of SQLite, and back; and the checksum that tells whether a row is what was written."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Mapping
from dataclasses import fields
from typing import Any, Literal, get_args
from zlib import crc32

import msgspec

from backend.state.payloads import StateEvent
from backend.state.records import (
    DETAILS,
    BenchmarkRecord,
    Detail,
    Json,
    ModelRecord,
    RunRecord,
    StoredEvent,
    kinds,
    told,
)

Table = Literal["models", "runs", "events", "benchmarks", "benchmark_events"]
EventTable = Literal["events", "benchmark_events"]
EVENTS: tuple[EventTable, ...] = get_args(EventTable)

INTERRUPTED, MARK = '"state":"interrupted"', '"superseded":true'  # in the data of a state event, as it is stored
KINDS = {**kinds(RunRecord), **kinds(ModelRecord), **kinds(BenchmarkRecord)}  # by column: the same in all tables
JSON_COLUMNS = frozenset(name for name, kind in KINDS.items() if kind in (list, dict))
BOOL_COLUMNS = frozenset(name for name, kind in KINDS.items() if kind is bool)
REAL_COLUMNS = frozenset(name for name, kind in KINDS.items() if kind is float)
REACHED = frozenset({"runs_total", "highest_accuracy", "latest_run"})  # by the runs of a model: told by nobody else
MODEL_COLUMNS = tuple(field.name for field in fields(ModelRecord))
DEFINITION_COLUMNS = tuple(name for name in MODEL_COLUMNS if name not in REACHED)
LATEST_COLUMNS = ("run_id", "completed_at", "test_accuracy", "saved_model_path")
RUN_COLUMNS = tuple(name for name, how in told(RunRecord).items() if how.kept == "column")
FACTS = "facts"  # the column of a run that has the fields without a column of their own, as one JSON object
RUN_FACTS = tuple(name for name, how in told(RunRecord).items() if how.kept == "facts")
RUN_FIELDS = (*RUN_COLUMNS, *RUN_FACTS)
BENCHMARK_COLUMNS = tuple(name for name, how in told(BenchmarkRecord).items() if how.kept == "column")
BENCHMARK_FACTS = tuple(name for name, how in told(BenchmarkRecord).items() if how.kept == "facts")
BENCHMARK_FIELDS = (*BENCHMARK_COLUMNS, *BENCHMARK_FACTS)
IN_FACTS = frozenset({*RUN_FACTS, *BENCHMARK_FACTS})
# What a checksum is over, in this order: a change here needs a new schema that sums up every row again.
SUMMED: Mapping[Table, tuple[str, ...]] = {
    "models": ("sequence", *MODEL_COLUMNS),
    "runs": ("sequence", *RUN_COLUMNS, "ended", FACTS),
    "events": ("run_id", "id", "name", "data"),
    "benchmarks": ("sequence", *BENCHMARK_COLUMNS, FACTS),
    "benchmark_events": ("benchmark_id", "id", "name", "data"),
}
SELECT: Mapping[Table, str] = {
    table: f"SELECT {', '.join(columns)}, checksum FROM {table}" for table, columns in SUMMED.items()
}


def checksum(values: Iterable[object]) -> int:
    """The sum over the values of a row, in the order of `SUMMED`, as SQLite gives them back."""
    return crc32("\x1f".join(map(str, values)).encode("utf-8", "surrogateescape"))


def intact(row: sqlite3.Row) -> bool:
    """Whether a row, by a query of `SELECT`, is what was written."""
    *values, told = row
    return bool(checksum(values) == told)


def text(raw: bytes) -> str:
    """Text as connections give it: bytes that are not UTF-8 fail no query, and no checksum matches them."""
    return raw.decode("utf-8", "surrogateescape")


def dumps(value: object) -> str:
    """JSON as it is stored and sent: compact, finite numbers only (`ValueError` otherwise)."""
    return json.dumps(value, allow_nan=False, separators=(",", ":"))


def to_columns(values: Mapping[str, Any], *, allowed: Iterable[str]) -> dict[str, Any]:
    """Field values as SQLite takes them; `TypeError` for a name that is no column, since names go into the SQL."""
    if unknown := values.keys() - set(allowed):
        raise TypeError(f"no such column: {', '.join(sorted(unknown))}")
    columns = {name: value for name, value in values.items() if name not in IN_FACTS}
    facts = {name: value for name, value in values.items() if name in IN_FACTS}
    stored = {name: dumps(v) if name in JSON_COLUMNS and v is not None else v for name, v in columns.items()}
    return {**stored, FACTS: dumps(facts)} if facts else stored


def merged(facts: str, changes: str) -> str:
    """Facts as they are stored, with those that have changed."""
    return dumps({**msgspec.json.decode(facts), **msgspec.json.decode(changes)})


def _value(name: str, value: Any) -> Any:
    if name in JSON_COLUMNS and value is not None:
        return msgspec.json.decode(value)
    return bool(value) if name in BOOL_COLUMNS else value


def to_model(row: sqlite3.Row) -> ModelRecord:
    return ModelRecord(**{name: _value(name, row[name]) for name in MODEL_COLUMNS})


def to_run(row: sqlite3.Row, metrics: list[Json], details: Collection[Detail] = DETAILS) -> RunRecord:
    """A run; the `details` that are not named are empty."""
    values = {name: _value(name, row[name]) for name in RUN_COLUMNS if name not in DETAILS or name in details}
    facts = msgspec.json.decode(row[FACTS], type=dict[str, Any])
    known = {name: facts[name] for name in RUN_FACTS if name in facts and (name not in DETAILS or name in details)}
    return RunRecord(**{"architecture": {}, **values}, **known, metrics=metrics)


def to_benchmark(row: sqlite3.Row) -> BenchmarkRecord:
    facts = msgspec.json.decode(row[FACTS], type=dict[str, Any])
    known = {name: facts[name] for name in BENCHMARK_FACTS if name in facts}
    return BenchmarkRecord(**{name: _value(name, row[name]) for name in BENCHMARK_COLUMNS}, **known)


def to_event(row: sqlite3.Row) -> StoredEvent:
    text = row["data"]
    if row["name"] == "state" and INTERRUPTED in text and MARK not in text:  # as it was stored before there were marks
        text = dumps(superseded(msgspec.json.decode(text)))
    return StoredEvent(id=row["id"], name=row["name"], text=text)


def superseded(data: StateEvent) -> Json:
    """The data of a terminal event whose run has been resumed: a reader that stops at the end must not stop there."""
    was: str = data["state"]
    if was == "interrupted":  # what it was has not been kept: only a failed run has an error
        was = "failed" if data.get("error") else "cancelled"
    marked: StateEvent = {**data, "state": "interrupted", "superseded": True, "was": "cancelled"}
    if was == "failed":
        marked["was"] = "failed"
    return dict(marked)
