"""The SQLite store: every query of the server, one writer, durable before anyone is told."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from backend.records import ACTIVE, NEXT, TERMINAL, Claim, Json, ModelRecord, RunRecord, RunState, StoredEvent
from backend.rows import LATEST_COLUMNS, MODEL_COLUMNS, RUN_COLUMNS, dumps, to_columns, to_event, to_model, to_run
from backend.schema import SCHEMA_VERSION, migrate

STORE_FILE = "lamina.sqlite3"  # in the state directory
IDLE_READERS = 8

_MODEL_QUERY = f"""
    SELECT {", ".join(f"models.{name}" for name in MODEL_COLUMNS)},
        (SELECT count(*) FROM runs WHERE runs.model_id = models.model_id) AS runs_total,
        (SELECT max(test_accuracy) FROM runs WHERE runs.model_id = models.model_id AND state = 'succeeded')
            AS highest_accuracy,
        {", ".join(f"latest.{name} AS latest_{name}" for name in LATEST_COLUMNS)}
    FROM models LEFT JOIN runs AS latest ON latest.run_id = (
        SELECT run_id FROM runs WHERE runs.model_id = models.model_id AND state = 'succeeded'
        ORDER BY completed_at DESC, sequence DESC LIMIT 1)
"""
_RUN_QUERY = f"SELECT {', '.join(RUN_COLUMNS)} FROM runs"


class UnknownRecord(LookupError):
    """No model or run has this id."""


class WrongState(Exception):
    """A run in `state` cannot do what was asked: its history has ended, or another thread was first."""

    def __init__(self, run_id: str, state: RunState, wanted: str) -> None:
        super().__init__(f"run {run_id} is {state}: no {wanted} can follow")
        self.run_id, self.state = run_id, state


class StillActive(Exception):
    """A run, and the model it belongs to, cannot be deleted while it is queued or running."""

    def __init__(self, run_id: str) -> None:
        super().__init__(f"run {run_id} is still active")
        self.run_id = run_id


class Promoted(Exception):
    """A run cannot be deleted while its weights are those of a model."""

    def __init__(self, model_id: str) -> None:
        super().__init__(f"model {model_id} is promoted from this run")
        self.model_id = model_id


def utc_now() -> str:
    """The time as records carry it: ISO 8601, UTC, microseconds, always equally long."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


class Store:
    """Models, runs and events in one SQLite file. Safe from any thread; `sqlite3.Error` reaches the caller.

    Writes go through one connection under a lock and are on the disk when a method returns (WAL, synchronous=FULL).
    Reads use connections of their own, so that they never wait for a writer.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._lock = threading.Lock()
        self._readers: deque[sqlite3.Connection] = deque()
        self._closed = False
        self._writer = self._connect()
        try:
            self._prepare()
        except BaseException:
            self._writer.close()
            raise

    def close(self) -> None:
        """Close every connection; later calls raise `sqlite3.ProgrammingError`."""
        with self._lock:
            self._closed = True
            while self._readers:
                self._readers.pop().close()
            self._writer.close()

    def writable(self, *, patience: float) -> bool:
        """Whether a write gets to the disk now: by one, of what is there already. `patience`: seconds for others."""
        if not self._lock.acquire(timeout=patience):
            return False
        try:
            self._writer.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        except sqlite3.Error:
            return False
        finally:
            self._lock.release()
        return True

    # Models

    def create_model(self, record: ModelRecord) -> None:
        """Add a model; its derived fields are not stored."""
        stored = {name: value for name, value in asdict(record).items() if name in MODEL_COLUMNS}
        with self._write() as connection:
            _insert(connection, "models", to_columns(stored, allowed=MODEL_COLUMNS))

    def update_model(self, model_id: str, **fields: Any) -> ModelRecord:
        """Change the named fields and `updated_at`; `UnknownRecord` if there is no such model, or run to promote."""
        with self._write() as connection:
            if fields.get("saved_run_id") is not None:  # which may have been deleted since it was looked at
                _state(connection, fields["saved_run_id"])
            changes = to_columns({"updated_at": utc_now(), **fields}, allowed=MODEL_COLUMNS)
            _update(connection, "models", "model_id", model_id, changes)
            row = connection.execute(f"{_MODEL_QUERY} WHERE models.model_id = ?", (model_id,)).fetchone()
        return to_model(row)

    def get_model(self, model_id: str) -> ModelRecord | None:
        with self._read() as connection:
            row = connection.execute(f"{_MODEL_QUERY} WHERE models.model_id = ?", (model_id,)).fetchone()
        return to_model(row) if row else None

    def list_models(self) -> list[ModelRecord]:
        """All models, newest first."""
        with self._read() as connection:
            rows = connection.execute(f"{_MODEL_QUERY} ORDER BY models.sequence DESC").fetchall()
        return [to_model(row) for row in rows]

    def delete_model(self, model_id: str) -> list[str]:
        """Delete a model with its runs and their events; the ids of those runs, whose folders may go now.

        `StillActive` while one of its runs is queued or running, `UnknownRecord` if there is no such model.
        """
        with self._write() as connection:
            rows = connection.execute("SELECT run_id, state FROM runs WHERE model_id = ?", (model_id,)).fetchall()
            for row in rows:
                if row["state"] in ACTIVE:
                    raise StillActive(row["run_id"])
            if not connection.execute("DELETE FROM models WHERE model_id = ?", (model_id,)).rowcount:
                raise UnknownRecord(model_id)
        return [row["run_id"] for row in rows]

    def delete_run(self, run_id: str) -> None:
        """Delete a run with its events; its folder may go now.

        `StillActive` while it is queued or running, `Promoted` while a model has its weights, `UnknownRecord` if there
        is no such run.
        """
        with self._write() as connection:
            if _state(connection, run_id) in ACTIVE:
                raise StillActive(run_id)
            row = connection.execute("SELECT model_id FROM models WHERE saved_run_id = ?", (run_id,)).fetchone()
            if row is not None:
                raise Promoted(row["model_id"])
            connection.execute("DELETE FROM runs WHERE run_id = ?", (run_id,))

    # Runs

    def create_run(self, record: RunRecord, event: Json) -> None:
        """Add a run and its first `state` event, which gets id 1; `UnknownRecord` if its model is gone."""
        stored = {name: value for name, value in asdict(record).items() if name in RUN_COLUMNS}
        with self._write() as connection:
            if not connection.execute("SELECT 1 FROM models WHERE model_id = ?", (record.model_id,)).fetchone():
                raise UnknownRecord(record.model_id)
            _insert(connection, "runs", to_columns(stored, allowed=RUN_COLUMNS))
            _append(connection, record.run_id, "state", event)

    def get_run(self, run_id: str, *, metrics: bool = True) -> RunRecord | None:
        with self._read() as connection:
            row = connection.execute(f"{_RUN_QUERY} WHERE run_id = ?", (run_id,)).fetchone()
            found = _metrics(connection, "run_id = ?", (run_id,)) if row and metrics else {}
        return to_run(row, found.get(run_id, [])) if row else None

    def list_runs(
        self,
        model_id: str | None = None,
        state: RunState | None = None,
        limit: int | None = None,
        *,
        metrics: bool = True,
    ) -> list[RunRecord]:
        """Runs of a model and in a state, newest first."""
        chosen = """FROM runs WHERE (:model_id IS NULL OR model_id = :model_id) AND (:state IS NULL OR state = :state)
            ORDER BY sequence DESC LIMIT :limit"""
        values = {"model_id": model_id, "state": state, "limit": -1 if limit is None else limit}
        with self._read() as connection:
            rows = connection.execute(f"SELECT {', '.join(RUN_COLUMNS)} {chosen}", values).fetchall()
            found = _metrics(connection, f"run_id IN (SELECT run_id {chosen})", values) if rows and metrics else {}
        return [to_run(row, found.get(row["run_id"], [])) for row in rows]

    def update_run(self, run_id: str, **fields: Any) -> None:
        """Change fields of a run; its state changes by `transition` alone."""
        with self._write() as connection:
            changes = to_columns(fields, allowed=[name for name in RUN_COLUMNS if name != "state"])
            _update(connection, "runs", "run_id", run_id, changes)

    def transition(self, run_id: str, state: RunState, *, data: Json, **fields: Any) -> int:
        """Put a run into `state`, with its other fields and its event, in one transaction; the event's id.

        Sets `started_at`, `completed_at` and the model's `last_trained_at` where the state implies them.
        `WrongState` if the run's present state does not lead there: of two rivals, the second one gets it.
        """
        now = utc_now()
        implied: Json = (
            {"started_at": now} if state == "running" else {"completed_at": now} if state in TERMINAL else {}
        )
        changes = to_columns({**implied, **fields, "state": state}, allowed=RUN_COLUMNS)
        with self._write() as connection:
            present = _state(connection, run_id)
            if state not in NEXT[present]:
                raise WrongState(run_id, present, state)
            _update(connection, "runs", "run_id", run_id, changes)
            if state == "succeeded":
                of_run = "model_id = (SELECT model_id FROM runs WHERE run_id = ?)"
                connection.execute(f"UPDATE models SET last_trained_at = ? WHERE {of_run}", (now, run_id))
            return _append(connection, run_id, "state", data)

    def resume(self, run_id: str, *, data: Json, queued: bool) -> int:
        """Put a resumable run back into the queue, with its event, in one transaction; the event's id.

        The terminal event that this supersedes stays in its place, its state now called `interrupted`: a reader that
        stops at the first terminal state must not stop there. `WrongState` if the run is not resumable.
        """
        with self._write() as connection:
            present = _state(connection, run_id)
            last = connection.execute(
                "SELECT id, data FROM events WHERE run_id = ? ORDER BY id DESC LIMIT 1", (run_id,)
            ).fetchone()
            changes = {"state": "queued", "queued": queued, "completed_at": None, "error": None, "resumable": False}
            if not connection.execute(
                "SELECT 1 FROM runs WHERE run_id = ? AND resumable AND state IN ('failed', 'cancelled')", (run_id,)
            ).fetchone():
                raise WrongState(run_id, present, "resume")
            superseded = dumps({**json.loads(last["data"]), "state": "interrupted"})
            connection.execute(
                "UPDATE events SET data = ? WHERE run_id = ? AND id = ?", (superseded, run_id, last["id"])
            )
            _update(connection, "runs", "run_id", run_id, changes)
            return _append(connection, run_id, "state", data)

    # Events

    def append_event(self, run_id: str, name: str, data: Json, **fields: Any) -> int:
        """Add an event, and change `fields` of its run, in one transaction; the event's id.

        `WrongState` once the run has ended: nothing follows the terminal event.
        """
        changes = to_columns(fields, allowed=[column for column in RUN_COLUMNS if column != "state"])
        with self._write() as connection:
            present = _state(connection, run_id)
            if present in TERMINAL:
                raise WrongState(run_id, present, name)
            if changes:
                _update(connection, "runs", "run_id", run_id, changes)
            return _append(connection, run_id, name, data)

    def events(self, run_id: str, after: int = 0, limit: int | None = None) -> list[StoredEvent]:
        """Events with an id above `after`, oldest first."""
        with self._read() as connection:
            rows = connection.execute(
                "SELECT id, name, data FROM events WHERE run_id = ? AND id > ? ORDER BY id LIMIT ?",
                (run_id, after, -1 if limit is None else limit),
            ).fetchall()
        return [to_event(row) for row in rows]

    def tail(self, run_id: str) -> tuple[RunState, int]:
        """A run's state and the id of its newest event, from one moment; `UnknownRecord` if there is no such run."""
        with self._read() as connection:
            state = _state(connection, run_id)
            row = connection.execute("SELECT max(id) FROM events WHERE run_id = ?", (run_id,)).fetchone()
        return state, int(row[0] or 0)

    # Files

    def claims(self) -> dict[str, Claim]:
        """What the record of every run says about its files, by run."""
        with self._read() as connection:
            query = "SELECT run_id, state, epoch, resumable, saved_model_path, weights_sha256 FROM runs"
            rows = connection.execute(query).fetchall()
        return {row["run_id"]: Claim(**{**dict(row), "resumable": bool(row["resumable"])}) for row in rows}

    def give_up(self, *, weights: Iterable[str], training: Iterable[str]) -> None:
        """Take back what records say of files that are gone, in one transaction. Both: ids of runs.

        Runs without their weights have no `saved_model_path` any more, and models promoted from them are untrained;
        runs without their training state are not resumable.
        """
        lost = [(run_id,) for run_id in weights]
        with self._write() as connection:
            connection.executemany("UPDATE runs SET saved_model_path = NULL WHERE run_id = ?", lost)
            untrained = "UPDATE models SET trained = 0, saved_model_path = NULL, saved_run_id = NULL"
            connection.executemany(f"{untrained} WHERE saved_run_id = ?", lost)
            ended = [(run_id,) for run_id in training]
            connection.executemany("UPDATE runs SET resumable = 0 WHERE run_id = ?", ended)

    def moved_to(self, folder: str) -> None:
        """Let every `saved_model_path` begin with the name that the state directory has now."""
        renamed = "saved_model_path = ? || substr(saved_model_path, instr(saved_model_path, '/'))"
        stale = "saved_model_path IS NOT NULL AND substr(saved_model_path, 1, instr(saved_model_path, '/') - 1) <> ?"
        with self._write() as connection:
            for table in ("runs", "models"):
                connection.execute(f"UPDATE {table} SET {renamed} WHERE {stale}", (folder, folder))

    # Connections

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=10.0, isolation_level=None, check_same_thread=False)
        connection.row_factory = sqlite3.Row
        return connection

    def _prepare(self) -> None:
        connection = self._writer
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        with self._write():
            migrate(connection, self._path.name)

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:  # a full disk makes SQLite roll back by itself
                    self._writer.execute("ROLLBACK")
                raise

    @contextmanager
    def _read(self) -> Iterator[sqlite3.Connection]:
        """A connection for one thread, inside a transaction, so that several queries see one moment."""
        if self._closed:
            raise sqlite3.ProgrammingError("the store is closed")
        try:
            connection = self._readers.pop()
        except IndexError:
            connection = self._connect()
        try:
            connection.execute("BEGIN")
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            connection.close()
            raise
        if self._closed or len(self._readers) >= IDLE_READERS:
            connection.close()
        else:
            self._readers.append(connection)


def _insert(connection: sqlite3.Connection, table: str, columns: Json) -> None:
    names = ", ".join(columns)
    connection.execute(f"INSERT INTO {table} ({names}) VALUES ({', '.join(f':{name}' for name in columns)})", columns)


def _update(connection: sqlite3.Connection, table: str, key: str, value: str, changes: Json) -> None:
    """Change one row, `key` of which is `value`; `UnknownRecord` if there is none."""
    settings = ", ".join(f"{name} = :{name}" for name in changes)
    statement = f"UPDATE {table} SET {settings} WHERE {key} = :wanted_key"
    if not connection.execute(statement, {**changes, "wanted_key": value}).rowcount:
        raise UnknownRecord(value)


def _state(connection: sqlite3.Connection, run_id: str) -> RunState:
    row = connection.execute("SELECT state FROM runs WHERE run_id = ?", (run_id,)).fetchone()
    if row is None:
        raise UnknownRecord(run_id)
    state: RunState = row["state"]
    return state


def _append(connection: sqlite3.Connection, run_id: str, name: str, data: Json) -> int:
    row = connection.execute("SELECT coalesce(max(id), 0) + 1 FROM events WHERE run_id = ?", (run_id,)).fetchone()
    event_id = int(row[0])
    connection.execute("INSERT INTO events VALUES (?, ?, ?, ?)", (run_id, event_id, name, dumps(data)))
    return event_id


def _metrics(connection: sqlite3.Connection, where: str, values: Any) -> dict[str, list[Json]]:
    """The data of metric events by run, oldest first."""
    query = f"SELECT run_id, data FROM events WHERE name = 'metric' AND {where} ORDER BY run_id, id"
    found: dict[str, list[Json]] = {}
    for row in connection.execute(query, values):
        found.setdefault(row["run_id"], []).append(json.loads(row["data"]))
    return found
