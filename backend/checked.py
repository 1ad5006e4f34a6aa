"""A database whose rows are what was written: each is held against its checksum where it is read."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from backend.curve import SHOWN
from backend.database import Database
from backend.records import Json
from backend.rows import SELECT, Table, intact
from backend.store_errors import UnknownRecord, UnreadableRecord
from backend.tables import KEY, curve_of, find, milestone_rows, sequences
from backend.unreadable import Unreadable

NEWEST = 2**62  # above every cursor
PAGE = 200  # rows that a list looks for at once


class Checked(Database):
    """Reads rows, leaves out those that are damaged, and notices them in `unreadable`."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.unreadable = Unreadable(path.name)

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        with self._noticing(), super()._write() as connection:
            yield connection

    @contextmanager
    def _read(self) -> Iterator[sqlite3.Connection]:
        with self._noticing(), super()._read() as connection:
            yield connection

    @contextmanager
    def _noticing(self) -> Iterator[None]:
        try:
            yield
        except UnreadableRecord as error:
            self.unreadable.notice(error.table, error.identifier)
            raise

    def _find(self, table: Table, identifier: str) -> sqlite3.Row | None:
        try:
            with self._read() as connection:
                return find(connection, table, identifier)
        except UnknownRecord:
            if self.unreadable.any(table):  # it may be one of those whose id is damaged
                raise UnreadableRecord(table, identifier) from None
            return None

    def _newest(
        self, connection: sqlite3.Connection, table: Table, wanted: Json, before: int | None
    ) -> Iterator[sqlite3.Row]:
        """The rows of models or runs with the `wanted` values from a cursor on, newest first."""
        cursor: int | None = NEWEST if before is None else before
        where = " AND ".join(["sequence < :before", *(f"{name} = :{name}" for name in wanted)])
        chosen = f"WHERE {where} ORDER BY sequence DESC LIMIT {PAGE}"
        while cursor is not None:
            found = sequences(connection, table, chosen, {**wanted, "before": cursor})
            yield from self._good(connection, table, found)
            cursor = found[-1] if found else None

    def _intact(
        self, connection: sqlite3.Connection, table: Table, chosen: str, values: Any = ()
    ) -> Iterator[sqlite3.Row]:
        """The rows of models or runs that are what was written; the others are noticed."""
        return self._good(connection, table, sequences(connection, table, chosen, values))

    def _good(self, connection: sqlite3.Connection, table: Table, found: list[int]) -> Iterator[sqlite3.Row]:
        """One by one: all of them may be more than fits into memory."""
        for sequence in found:
            row = connection.execute(f"{SELECT[table]} WHERE sequence = ?", (sequence,)).fetchone()
            if intact(row):
                yield row
            else:
                self.unreadable.notice(table, row[KEY[table]])

    def _judged(self, rows: Iterable[sqlite3.Row]) -> list[tuple[sqlite3.Row, bool]]:
        """Events of one run in their order, and whether each is what was written."""
        judged = [(row, intact(row)) for row in rows]
        bad = [row["id"] for row, good in judged if not good]
        good_ids = [row["id"] for row, good in judged if good]
        for before, after in pairwise(good_ids):
            bad += range(before + 1, after)
        if bad:
            self.unreadable.notice_events(judged[0][0]["run_id"], bad)
        return judged

    def _shown(self, connection: sqlite3.Connection, run: sqlite3.Row) -> list[Json]:
        """The metrics of a run, oldest first; of many, those that tell most."""
        curve = curve_of(run)
        if curve is None or curve["total"] <= SHOWN:  # all events are read: one that is damaged has any name
            rows = connection.execute(f"{SELECT['events']} WHERE run_id = ? ORDER BY id", (run["run_id"],))
            metrics = [row for row, good in self._judged(rows) if good and row["name"] == "metric"]
        else:
            metrics = [row for row in milestone_rows(connection, run["run_id"], curve) if intact(row)]
        return [msgspec.json.decode(row["data"]) for row in metrics]
