"""Benchmarks in the store: their records, events and results."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Generator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any

import msgspec

from backend.state.checked import Checked
from backend.state.errors import StillActive, UnknownRecord, UnreadableRecord, WrongState
from backend.state.naming import numbered
from backend.state.records import (
    ACTIVE,
    BENCHMARK_ENDS,
    BENCHMARK_NEXT,
    UNREADABLE,
    BenchmarkRecord,
    BenchmarkState,
    Json,
    StoredEvent,
    utc_now,
)
from backend.state.rows import BENCHMARK_FIELDS, SELECT, dumps, intact, to_benchmark, to_columns, to_event
from backend.state.tables import append, change, find, insert

CHANGED_BY_THEMSELVES = ("state", "results_sha256")
CELL = ("body", "device", "machine", "precision", "batch_size")  # what tells cells apart


class Benchmarks(Checked):
    """The part of the store that keeps benchmarks.

    The results lie beside the record, under a SHA-256 of their own, so that lists read none. While a benchmark is
    measured they are what was known before (bodies, devices, protocol), and each measured cell is an event; the end
    brings them whole.
    """

    def create_benchmark(self, record: BenchmarkRecord, event: Json) -> BenchmarkRecord:
        """Add a benchmark and its first `state` event, of id 1; as it is kept: a name that repeats is numbered."""
        with self._write() as connection:
            record = replace(record, name=numbered(connection, "benchmarks", record.name))
            stored = {name: value for name, value in asdict(record).items() if name in BENCHMARK_FIELDS}
            insert(connection, "benchmarks", to_columns(stored, allowed=BENCHMARK_FIELDS))
            append(connection, record.benchmark_id, "state", event, to="benchmark_events")
        return record

    def get_benchmark(self, benchmark_id: str) -> BenchmarkRecord | None:
        row = self._find("benchmarks", benchmark_id)
        return to_benchmark(row) if row else None

    def each_benchmark(
        self, *, before: int | None = None, state: BenchmarkState | None = None
    ) -> Generator[tuple[int, BenchmarkRecord]]:
        """Benchmarks, newest first, one by one, each with its cursor: `before` that there are the older ones."""
        with self._read() as connection, suppress(GeneratorExit):  # the connection serves others, too
            for row in self._newest(connection, "benchmarks", {"state": state} if state else {}, before):
                yield row["sequence"], to_benchmark(row)

    def update_benchmark(self, benchmark_id: str, **fields: Any) -> None:
        """Change fields of a benchmark; its state changes by `end_benchmark` and the like alone."""
        with self._write() as connection:
            changes = to_columns(fields, allowed=set(BENCHMARK_FIELDS).difference(CHANGED_BY_THEMSELVES))
            change(connection, "benchmarks", find(connection, "benchmarks", benchmark_id), changes)

    def keep_results(self, benchmark_id: str, results: Json) -> None:
        """What is known of the results before anything is measured."""
        with self._write() as connection:
            self._put(connection, find(connection, "benchmarks", benchmark_id), dumps(results), {})

    def transition_benchmark(
        self, benchmark_id: str, state: BenchmarkState, *, data: Json, results: Json | None = None, **fields: Any
    ) -> int:
        """Put a benchmark into `state`, with its other fields, results and event, in one transaction; the event's id.

        Sets `started_at` and `completed_at` where the state implies them. `WrongState` if the present state does not
        lead there: of two rivals, the second one gets it.
        """
        now = utc_now()
        implied: Json = (
            {"started_at": now} if state == "running" else {"completed_at": now} if state in BENCHMARK_ENDS else {}
        )
        changes = to_columns({**implied, **fields, "state": state}, allowed=BENCHMARK_FIELDS)
        text = None if results is None else dumps(results)
        with self._write() as connection:
            row = find(connection, "benchmarks", benchmark_id)
            if state not in BENCHMARK_NEXT[row["state"]]:
                raise WrongState(benchmark_id, row["state"], state, kind="benchmark")
            self._put(connection, row, text, changes)
            return append(connection, benchmark_id, "state", data, to="benchmark_events")

    def append_benchmark_event(self, benchmark_id: str, name: str, data: Json, **fields: Any) -> int:
        """Add an event, and change `fields` of its benchmark, in one transaction; the event's id.

        `WrongState` once the benchmark has ended: nothing follows the terminal event.
        """
        changes = to_columns(fields, allowed=set(BENCHMARK_FIELDS).difference(CHANGED_BY_THEMSELVES))
        with self._write() as connection:
            row = find(connection, "benchmarks", benchmark_id)
            if row["state"] in BENCHMARK_ENDS:
                raise WrongState(benchmark_id, row["state"], name, kind="benchmark")
            if changes:
                change(connection, "benchmarks", row, changes)
            return append(connection, benchmark_id, name, data, to="benchmark_events")

    def append_to_each_benchmark(self, name: str, data: Mapping[str, Json]) -> dict[str, int]:
        """Add an event to each of `data` that has not ended and can be read, in one transaction; their ids."""
        ids = {}
        with self._write() as connection:
            for benchmark_id, each in data.items():
                with suppress(UnknownRecord, UnreadableRecord):
                    if find(connection, "benchmarks", benchmark_id)["state"] not in BENCHMARK_ENDS:
                        ids[benchmark_id] = append(connection, benchmark_id, name, each, to="benchmark_events")
        return ids

    def delete_benchmark(self, benchmark_id: str) -> None:
        """Delete a benchmark with its events and results. A damaged one goes whatever it says. Works on a full disk.

        `StillActive` while it is queued or running, `UnknownRecord` if there is no such benchmark.
        """
        self._delete(lambda: self._delete_benchmark(benchmark_id))

    def _delete_benchmark(self, benchmark_id: str) -> None:
        with self._write() as connection:
            chosen = f"{SELECT['benchmarks']} WHERE benchmark_id = ?"
            row = connection.execute(chosen, (benchmark_id,)).fetchone()
            if row is None:
                raise UnknownRecord(benchmark_id)
            if row["state"] in ACTIVE and intact(row):
                raise StillActive(benchmark_id)
            connection.execute("DELETE FROM benchmarks WHERE benchmark_id = ?", (benchmark_id,))
        self.unreadable.forget("benchmarks", benchmark_id)

    # What was measured

    def results_of(self, benchmark_id: str) -> Json | None:
        """As they were kept last; None before, and where they are not what was written, of which `unreadable` tells."""
        with self._read() as connection:
            row = find(connection, "benchmarks", benchmark_id)
            chosen = "SELECT results FROM benchmarks WHERE sequence = ?"
            text = connection.execute(chosen, (row["sequence"],)).fetchone()["results"]
        if text is None and row["results_sha256"] is None:
            return None
        if text is None or sha256(text) != row["results_sha256"]:
            self.unreadable.notice_results(benchmark_id)
            return None
        results: Json = msgspec.json.decode(text)
        return results

    def cells_of(self, benchmark_id: str) -> list[Json]:
        """What was measured of cells, oldest first: a later one of a cell takes the place of those before."""
        with self._read() as connection:
            chosen = f"{SELECT['benchmark_events']} WHERE benchmark_id = ? ORDER BY id"
            rows = connection.execute(chosen, (benchmark_id,)).fetchall()
        judged = self._judged(rows, of="benchmark_events")
        return [msgspec.json.decode(row["data"])["cell"] for row, good in judged if good and row["name"] == "cell"]

    def measured_in(self, benchmark_id: str) -> Json | None:
        """The results with what has been measured since they were kept."""
        results, (state, _) = self.results_of(benchmark_id), self.benchmark_tail(benchmark_id)
        return results if state in BENCHMARK_ENDS else with_cells(results, self.cells_of(benchmark_id))

    def benchmark_events(self, benchmark_id: str, after: int = 0, limit: int | None = None) -> list[StoredEvent]:
        """Events with an id above `after`, oldest first; in the place of a damaged one, one that says so."""
        with self._read() as connection:
            chosen = f"{SELECT['benchmark_events']} WHERE benchmark_id = ? AND id > ? ORDER BY id LIMIT ?"
            rows = connection.execute(chosen, (benchmark_id, after, -1 if limit is None else limit)).fetchall()
        judged = self._judged(rows, after, of="benchmark_events")
        return [to_event(row) if good else StoredEvent(row["id"], UNREADABLE, "{}") for row, good in judged]

    def benchmark_tail(self, benchmark_id: str) -> tuple[BenchmarkState, int]:
        """The state and the id of the newest event, from one moment; `UnknownRecord` if there is no such benchmark."""
        newest = "SELECT max(id) FROM benchmark_events WHERE benchmark_id = ?"
        with self._noticing(), self._read() as connection:
            state: BenchmarkState = find(connection, "benchmarks", benchmark_id)["state"]
            return state, int(connection.execute(newest, (benchmark_id,)).fetchone()[0] or 0)

    def _put(self, connection: sqlite3.Connection, row: sqlite3.Row, results: str | None, changes: Json) -> None:
        """Change a row, and its results where there are new ones."""
        if results is not None:
            changes = {**changes, "results_sha256": sha256(results)}
            at = (results, row["sequence"])
            connection.execute("UPDATE benchmarks SET results = ? WHERE sequence = ?", at)
        change(connection, "benchmarks", row, changes)


@dataclass(frozen=True)
class BenchmarkHistory:
    """What the events of benchmarks are read by, as those of runs are by the store itself."""

    store: Benchmarks

    def events(self, identifier: str, after: int = 0, limit: int | None = None) -> list[StoredEvent]:
        return self.store.benchmark_events(identifier, after, limit)

    def tail(self, identifier: str) -> tuple[BenchmarkState, int]:
        return self.store.benchmark_tail(identifier)


def with_cells(results: Json | None, cells: list[Json]) -> Json | None:
    """Results with the newest of what was measured of each cell, in the order in which they came."""
    if results is None or not cells:
        return results
    newest = {tuple(cell.get(name) for name in CELL): cell for cell in [*results.get("cells", []), *cells]}
    return {**results, "complete": False, "cells": list(newest.values())}


def sha256(results: str) -> str:
    """Of results as they are stored."""
    return hashlib.sha256(results.encode("utf-8", "surrogateescape")).hexdigest()
