"""Rows of the store that are not what was written: noticed where they are read, left out, and told."""

from __future__ import annotations

import threading
from collections.abc import Collection
from itertools import islice

from backend.state.files import RUN_ID
from backend.state.rows import Table

KIND = {"models": "model", "runs": "run"}
MOST_TOLD = 20  # sentences in one answer
MOST_IDS = 10  # events in one sentence
MOST_EVENTS = 1000  # of one run that are kept apart: a single damaged id may leave any number of others missing


class Unreadable:
    """What was noticed so far. Safe from any thread."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._records: dict[tuple[Table, str], None] = {}
        self._events: dict[str, set[int]] = {}

    def notice(self, table: Table, identifier: object) -> str:
        """A model or a run, by its id as far as that can be read; the sentence about it."""
        with self._lock:
            self._records[table, str(identifier)] = None
        return self._record(table, str(identifier))

    def notice_events(self, run_id: object, ids: Collection[int]) -> None:
        """Events of a run that are damaged, or missing between others."""
        if ids:
            with self._lock:
                noticed = self._events.setdefault(str(run_id), set())
                noticed.update(islice(ids, MOST_EVENTS - len(noticed)))

    def forget(self, table: Table, identifier: str) -> None:
        """What is deleted is damaged no more."""
        with self._lock:
            self._records.pop((table, identifier), None)
            if table == "runs":
                self._events.pop(identifier, None)

    def any(self, table: Table) -> bool:
        """Whether a record of `table` is missing from every list."""
        return any(found == table for found, _ in self._records.copy())

    def sentences(self, *tables: Table) -> list[str]:
        """About all of it, or about some tables."""
        with self._lock:
            records, events = list(self._records), {run_id: sorted(ids) for run_id, ids in self._events.items()}
        told = [self._record(table, identifier) for table, identifier in records if not tables or table in tables]
        if not tables or "events" in tables:
            told += [self._about_events(run_id, ids) for run_id, ids in events.items()]
        rest = len(told) - MOST_TOLD
        return [*told[:MOST_TOLD], *([f"{rest} more records are damaged in {self._file}"] if rest > 0 else [])]

    def of_run(self, run_id: str) -> list[str]:
        """About the events of one run."""
        with self._lock:
            ids = sorted(self._events.get(run_id, ()))
        return [self._about_events(run_id, ids)] if ids else []

    def _record(self, table: Table, identifier: str) -> str:
        kind = KIND[table]
        plain = RUN_ID.fullmatch(identifier)
        shown = identifier if plain else ascii(identifier[:80])
        delete = f", or delete what is left of it with DELETE /api/{table}/{identifier}" if plain else ""
        cure = f"stop the server and restore {self._file} from a copy{delete}"
        return f"the record of {kind} {shown} in {self._file} is damaged and left out: {cure}"

    def _about_events(self, run_id: str, ids: list[int]) -> str:
        shown = run_id if RUN_ID.fullmatch(run_id) else ascii(run_id[:80])
        listed = ", ".join(map(str, ids[:MOST_IDS])) + (", ..." if len(ids) > MOST_IDS else "")
        count = f"{len(ids)}{' or more' * (len(ids) == MOST_EVENTS)}"
        what = f"{count} events of run {shown} in {self._file} are damaged and left out (id {listed})"
        return f"{what}: stop the server and restore {self._file} from a copy"
