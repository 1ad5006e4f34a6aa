"""Rows written, each with its checksum: what happens inside a transaction that the store has begun."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from backend.state.curve import milestones
from backend.state.errors import UnknownRecord, UnreadableRecord
from backend.state.records import Json, Record, RunState
from backend.state.rows import (
    EVENTS,
    FACTS,
    LATEST_COLUMNS,
    REAL_COLUMNS,
    SELECT,
    SUMMED,
    EventTable,
    Table,
    checksum,
    dumps,
    intact,
    merged,
    to_benchmark,
    to_model,
    to_run,
)

KEY: Mapping[Table, str] = {
    "models": "model_id",
    "runs": "run_id",
    "events": "run_id",
    "benchmarks": "benchmark_id",
    "benchmark_events": "benchmark_id",
}


def find(connection: sqlite3.Connection, table: Table, identifier: str) -> sqlite3.Row:
    """A model or run as it was written. `UnknownRecord`; `UnreadableRecord` for one that has changed since."""
    row: sqlite3.Row | None = connection.execute(f"{SELECT[table]} WHERE {KEY[table]} = ?", (identifier,)).fetchone()
    if row is None:
        raise UnknownRecord(identifier)
    if not intact(row):
        raise UnreadableRecord(table, identifier)
    return row


def sequences(connection: sqlite3.Connection, table: Table, chosen: str, values: Any) -> list[int]:
    """The keys of rows, without reading the rows."""
    return [row[0] for row in connection.execute(f"SELECT sequence FROM {table} {chosen}", values)]


def insert(connection: sqlite3.Connection, table: Table, columns: Json) -> None:
    names = ", ".join(columns)
    values = ", ".join(f":{name}" for name in columns)
    connection.execute(f"INSERT INTO {table} ({names}) VALUES ({values})", columns)
    row = connection.execute(f"{SELECT[table]} WHERE {KEY[table]} = ?", (columns[KEY[table]],)).fetchone()
    connection.execute(f"UPDATE {table} SET checksum = ? WHERE sequence = ?", (checksum(row[:-1]), row["sequence"]))


def change(connection: sqlite3.Connection, table: Table, row: sqlite3.Row, changes: Json) -> None:
    """Change columns of a row that `find` gave."""
    stored = {name: _as_stored(name, value) for name, value in changes.items()}
    if FACTS in stored:
        stored[FACTS] = merged(row[FACTS], stored[FACTS])
    values = [stored.get(name, row[name]) for name in SUMMED[table]]
    settings = "".join(f"{name} = :{name}, " for name in stored)
    connection.execute(
        f"UPDATE {table} SET {settings} checksum = :checksum WHERE sequence = :sequence",
        {**stored, "checksum": checksum(values), "sequence": row["sequence"]},
    )


def _as_stored(name: str, value: Any) -> Any:
    """A value as SQLite will give it back."""
    if value is None or isinstance(value, str):
        return value
    return float(value) if name in REAL_COLUMNS else int(value)


def state_of(row: sqlite3.Row) -> RunState:
    state: RunState = row["state"]
    return state


def append(connection: sqlite3.Connection, identifier: str, name: str, data: Json, *, to: EventTable = "events") -> int:
    """Add an event to a run, or to a benchmark; its id."""
    newest = f"SELECT coalesce(max(id), 0) + 1 FROM {to} WHERE {KEY[to]} = ?"
    values = (identifier, int(connection.execute(newest, (identifier,)).fetchone()[0]), name, dumps(data))
    connection.execute(f"INSERT INTO {to} VALUES (?, ?, ?, ?, ?)", (*values, checksum(values)))
    return values[1]


def replace_event(connection: sqlite3.Connection, event: sqlite3.Row, data: Json) -> None:
    """Other data in the place of an event's."""
    values = (event["run_id"], event["id"], event["name"], dumps(data))
    settings = "UPDATE events SET data = ?, checksum = ? WHERE run_id = ? AND id = ?"
    connection.execute(settings, (values[3], checksum(values), values[0], values[1]))


def curve_of(run: sqlite3.Row) -> Json | None:
    """A run's metrics in short; None for one without any."""
    curve: Json | None = msgspec.json.decode(run["curve"]) if run["curve"] else None
    return curve


def summary_of(run: sqlite3.Row) -> Json | None:
    """The same for lists; None for a run without any."""
    summary: Json | None = msgspec.json.decode(run["summary"]) if run["summary"] else None
    return summary


def milestone_rows(connection: sqlite3.Connection, run_id: str, curve: Json) -> list[sqlite3.Row]:
    """Those metric events of a run that stand for all of them, in their order. Looks up few, and reads no others."""
    of_run = "WHERE run_id = :run_id AND name = 'metric'"
    ends = [f"(SELECT id FROM events {of_run} ORDER BY id {way} LIMIT 1)" for way in ("", "DESC")]
    first, last = connection.execute(f"SELECT {', '.join(ends)}", {"run_id": run_id}).fetchone()
    places = dumps(milestones(curve, first, last)) if first is not None else "[]"
    chosen = f"(SELECT id FROM events {of_run} AND id >= place.value ORDER BY id LIMIT 1)"
    where = f"run_id = :run_id AND id IN (SELECT {chosen} FROM json_each(:places) AS place) ORDER BY id"
    return connection.execute(f"{SELECT['events']} WHERE {where}", {"run_id": run_id, "places": places}).fetchall()


def metrics_at(connection: sqlite3.Connection, run_id: str, epochs: Iterable[int]) -> dict[int, Json]:
    """The metrics of a run at some epochs, as far as it has them. Looks up few events, and reads no others.

    Epochs count up by one, as ids do but for the other events between them: from one metric leads the distance to the
    one that is meant, or to one before it.
    """
    after = f"{SELECT['events']} WHERE run_id = ? AND id >= ? AND name = 'metric' ORDER BY id LIMIT 1"
    row = connection.execute(after, (run_id, 0)).fetchone()
    while row is not None and not intact(row):
        row = connection.execute(after, (run_id, row["id"] + 1)).fetchone()
    if row is None:
        return {}
    found: dict[int, Json] = {}
    ahead = row["id"] - msgspec.json.decode(row["data"])["epoch"]  # of an epoch the id of its metric, at least
    for epoch in sorted(epochs):
        row = connection.execute(after, (run_id, epoch + ahead)).fetchone()
        while row is not None and intact(row):
            metric = msgspec.json.decode(row["data"])
            if metric["epoch"] >= epoch:
                found |= {epoch: metric} if metric["epoch"] == epoch else {}
                break
            ahead = row["id"] - metric["epoch"]
            row = connection.execute(after, (run_id, epoch + ahead)).fetchone()
    return found


def put_events_in_order(connection: sqlite3.Connection) -> None:
    """Write all events again: what looks for one passes over others where a key is not what it was."""
    for table in EVENTS:
        (made,) = connection.execute("SELECT sql FROM sqlite_master WHERE name = ?", (table,)).fetchone()
        connection.execute(f"ALTER TABLE {table} RENAME TO {table}_before")
        connection.execute(made)
        connection.execute(f"INSERT OR IGNORE INTO {table} SELECT * FROM {table}_before")
        connection.execute(f"DROP TABLE {table}_before")


def turn_of(connection: sqlite3.Connection) -> int:
    """The number of the last end or resume of a run, be it deleted or not."""
    counted = "(SELECT CAST(seq AS INTEGER) FROM sqlite_sequence WHERE name = 'turns')"
    latest = f"SELECT max(coalesce({counted}, 0), coalesce((SELECT max(ended) FROM runs), 0))"
    return int(connection.execute(latest).fetchone()[0])


def next_turn(connection: sqlite3.Connection) -> int:
    """The number of the end or the resume that comes now: above all others, whatever the clocks say.

    The table is SQLite's own for such counters, and has those of the sequences of models and runs as well.
    """
    turn = turn_of(connection) + 1
    if not connection.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = 'turns'", (turn,)).rowcount:
        connection.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('turns', ?)", (turn,))
    return turn


def delete_if_left(connection: sqlite3.Connection, model_id: str) -> bool:
    """Delete a model that was made for a run and has none any more; whether that was so."""
    row = connection.execute(f"{SELECT['models']} WHERE model_id = ?", (model_id,)).fetchone()
    if row is None or not intact(row) or not row["made_for_run"]:
        return False
    if connection.execute("SELECT 1 FROM runs WHERE model_id = ? LIMIT 1", (model_id,)).fetchone():
        return False
    connection.execute("DELETE FROM models WHERE model_id = ?", (model_id,))
    return True


def sum_up(connection: sqlite3.Connection, model_id: str) -> Json:
    """What the runs of a model have reached, as columns of the model; damaged runs count, but have reached nothing."""
    succeeded = f"{SELECT['runs']} WHERE model_id = ? AND state = 'succeeded'"
    newest = _first(connection.execute(f"{succeeded} ORDER BY ended DESC", (model_id,)))
    best = _first(connection.execute(f"{succeeded} ORDER BY test_accuracy DESC", (model_id,)))
    total = connection.execute("SELECT count(*) FROM runs WHERE model_id = ?", (model_id,)).fetchone()[0]
    latest = dumps({name: newest[name] for name in LATEST_COLUMNS}) if newest else None
    return {"runs_total": total, "highest_accuracy": best["test_accuracy"] if best else None, "latest_run": latest}


def _first(rows: Iterable[sqlite3.Row]) -> sqlite3.Row | None:
    return next((row for row in rows if intact(row)), None)


def renew(connection: sqlite3.Connection, model_id: str, **changes: Any) -> None:
    """Write down what a model's runs have reached; nothing where its own record, or a run's word for it, is damaged."""
    try:
        row = find(connection, "models", model_id)
    except (UnknownRecord, UnreadableRecord):
        return
    change(connection, "models", row, {**changes, **sum_up(connection, model_id)})


def makes_sense(table: Table, row: sqlite3.Row) -> bool:
    """Whether a row holds what a record or an event does, whatever its checksum says."""
    try:
        if table in EVENTS:
            return isinstance(msgspec.json.decode(row["data"]), dict) and f"{row['name']}{row['data']}".isprintable()
        record = _to_record(table, row)
        "".join(value for value in row if isinstance(value, str)).encode()
        msgspec.convert(vars(record), type(record))
    except (ValueError, TypeError):  # msgspec's own are of these
        return False
    return True


def _to_record(table: Table, row: sqlite3.Row) -> Record:
    if table == "benchmarks":
        return to_benchmark(row)
    return to_model(row) if table == "models" else to_run(row, [])


def event_checksum(run_id: bytes, number: int, name: bytes, data: bytes) -> int:
    """For the SQL of schema 3: the first checksum of an event, which fits none that is invalid."""
    try:
        texts = run_id.decode(), name.decode(), data.decode()
        msgspec.json.decode(data, type=dict)
    except (ValueError, AttributeError):
        return -1
    return checksum((texts[0], number, *texts[1:]))
