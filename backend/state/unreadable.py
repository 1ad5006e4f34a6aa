"""Rows of the store that are not what was written: noticed where they are read, left out, and told."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from itertools import islice

from backend.state.files import RUN_ID
from backend.state.rows import EventTable, Table

KIND: Mapping[Table, str] = {
    "models": "model",
    "runs": "run",
    "benchmarks": "benchmark",
    "events": "run",
    "benchmark_events": "benchmark",
}
OF: Mapping[Table, EventTable] = {"runs": "events", "benchmarks": "benchmark_events"}
MOST_TOLD = 20  # sentences in one answer
MOST_IDS = 10  # events in one sentence
MOST_EVENTS = 1000  # of one run that are kept apart: a single damaged id may leave any number of others missing


class Unreadable:
    """What was noticed so far. Safe from any thread."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._records: dict[tuple[Table, str], None] = {}
        self._events: dict[tuple[EventTable, str], set[int]] = {}
        self._results: dict[str, None] = {}  # of benchmarks

    def notice(self, table: Table, identifier: object) -> str:
        """A model or a run, by its id as far as that can be read; the sentence about it."""
        with self._lock:
            self._records[table, str(identifier)] = None
        return self._record(table, str(identifier))

    def notice_events(self, identifier: object, ids: Collection[int], *, of: EventTable = "events") -> None:
        """Events of a run, or of a benchmark, that are damaged, or missing between others."""
        if ids:
            with self._lock:
                noticed = self._events.setdefault((of, str(identifier)), set())
                noticed.update(islice(ids, MOST_EVENTS - len(noticed)))

    def notice_results(self, benchmark_id: str) -> None:
        """The results of a benchmark, whose record is sound."""
        with self._lock:
            self._results[benchmark_id] = None

    def forget(self, table: Table, identifier: str) -> None:
        """What is deleted is damaged no more."""
        with self._lock:
            self._records.pop((table, identifier), None)
            if table in OF:
                self._events.pop((OF[table], identifier), None)
            if table == "benchmarks":
                self._results.pop(identifier, None)

    def any(self, table: Table) -> bool:
        """Whether a record of `table` is missing from every list."""
        return any(found == table for found, _ in self._records.copy())

    def sentences(self, *tables: Table) -> list[str]:
        """About all of it, or about some tables."""
        with self._lock:
            records, events = list(self._records), {of: sorted(ids) for of, ids in self._events.items()}
            results = list(self._results)
        told = [self._record(table, identifier) for table, identifier in records if not tables or table in tables]
        told += [self._about_events(*of, ids) for of, ids in events.items() if not tables or of[0] in tables]
        told += map(self._about_results, results if not tables or "benchmarks" in tables else ())
        rest = len(told) - MOST_TOLD
        return [*told[:MOST_TOLD], *([f"{rest} more records are damaged in {self._file}"] if rest > 0 else [])]

    def of_run(self, run_id: str) -> list[str]:
        """About the events of one run."""
        return self.of("events", run_id)

    def of(self, table: EventTable, identifier: str) -> list[str]:
        """About the events of one run, or about the events and results of one benchmark."""
        with self._lock:
            ids = sorted(self._events.get((table, identifier), ()))
            results = table == "benchmark_events" and identifier in self._results
        told = [self._about_events(table, identifier, ids)] if ids else []
        return [*told, self._about_results(identifier)] if results else told

    def _record(self, table: Table, identifier: str) -> str:
        kind = KIND[table]
        plain = RUN_ID.fullmatch(identifier)
        shown = identifier if plain else ascii(identifier[:80])
        delete = f", or delete what is left of it with DELETE /api/{table}/{identifier}" if plain else ""
        cure = f"stop the server and restore {self._file} from a copy{delete}"
        return f"the record of {kind} {shown} in {self._file} is damaged and left out: {cure}"

    def _about_results(self, benchmark_id: str) -> str:
        what = f"the results of benchmark {benchmark_id} in {self._file} are damaged and left out"
        return f"{what}: stop the server and restore {self._file} from a copy"

    def _about_events(self, table: EventTable, identifier: str, ids: list[int]) -> str:
        shown = identifier if RUN_ID.fullmatch(identifier) else ascii(identifier[:80])
        listed = ", ".join(map(str, ids[:MOST_IDS])) + (", ..." if len(ids) > MOST_IDS else "")
        count = f"{len(ids)}{' or more' * (len(ids) == MOST_EVENTS)}"
        what = f"{count} events of {KIND[table]} {shown} in {self._file} are damaged and left out (id {listed})"
        return f"{what}: stop the server and restore {self._file} from a copy"
