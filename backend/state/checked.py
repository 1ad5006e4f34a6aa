"""A database whose rows are what was written: each is held against its checksum where it is read."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from backend.state.curve import SHOWN
from backend.state.database import Database, T
from backend.state.errors import UnknownRecord, UnreadableRecord, is_malformed
from backend.state.integrity import OF_ORDER, damaged, look
from backend.state.records import Json
from backend.state.rows import EVENTS, SELECT, EventTable, Table, intact
from backend.state.scan import RECORDS, damaged_events, damaged_records
from backend.state.tables import KEY, curve_of, find, makes_sense, milestone_rows, put_events_in_order, sequences
from backend.state.unreadable import KIND, Unreadable

logger = logging.getLogger("lamina.store")

NEWEST = 2**62  # above every cursor
PAGE = 60  # rows that a list looks for at once: every one is on a page of its own


class Checked(Database):
    """Reads rows, leaves out those that are damaged, and notices them in `unreadable`."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.unreadable = Unreadable(path.name)

    def verify(self, *, mend: bool = True) -> None:
        """Look at every row, so that `unreadable` knows; `mend`: make the order of rows again where it is damaged.

        `Damaged` where SQLite itself cannot read a page or a row.
        """
        try:
            if mend:
                self._require_order()
            with closing(self._connect(sqlite3.Connection)) as connection:
                connection.row_factory, connection.text_factory = None, bytes
                for table in RECORDS:
                    self._look_over(connection, table)
                for events in EVENTS:
                    for identifier, ids in damaged_events(connection, events):
                        self.unreadable.notice_events(identifier, ids, of=events)
        except sqlite3.OperationalError:  # says nothing about the file
            raise
        except sqlite3.DatabaseError as error:
            raise damaged(self._path, str(error)) from error

    def _look_over(self, connection: sqlite3.Connection, table: Table) -> None:
        try:
            for identifier in damaged_records(connection, table):
                self.unreadable.notice(table, identifier)
        except sqlite3.DatabaseError as error:  # all at once: then row by row
            if not is_malformed(error):
                raise
            with self._read() as reader:
                for _ in self._intact(reader, table, ""):
                    pass

    def senseless(self) -> str | None:
        """The first row whose checksum fits and that no server has written: somebody else's work. Reads all of them."""
        with self._read() as connection:
            for table in RECORDS:
                for row in self._intact(connection, table, ""):
                    if not makes_sense(table, row):
                        return f"{KIND[table]} {ascii(row[KEY[table]])}"
            for events in EVENTS:
                for row in connection.execute(SELECT[events]):
                    if intact(row) and not makes_sense(events, row):
                        return f"event {row['id']} of {KIND[events]} {ascii(row[KEY[events]])}"
        return None

    def _require_order(self) -> None:
        with self._read() as connection:
            problems = look(connection, "integrity_check")
        for each in problems:
            if not OF_ORDER.fullmatch(each):
                raise damaged(self._path, each)
        if problems:
            self._put_in_order()
            logger.warning("the order of rows in %s was damaged (%s) and is made again", self._path.name, problems[0])

    def _delete(self, delete: Callable[[], T]) -> T:
        """Carry out a deletion: on a full disk, and where indexes no longer know the row."""
        try:
            return self.by_all_means(delete)
        except sqlite3.DatabaseError as error:
            if not is_malformed(error):
                raise
        self._put_in_order()
        return self.by_all_means(delete)

    def _put_in_order(self) -> None:
        """Make every index again from its table, and the tree of events from the events."""
        self._writer.execute("PRAGMA foreign_keys = OFF")  # a damaged event may name no run
        try:
            with self._write() as connection:
                put_events_in_order(connection)
                connection.execute("REINDEX")
        finally:
            self._writer.execute("PRAGMA foreign_keys = ON")

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        with self._noticing(), super()._write() as connection:
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
            with self._noticing(), self._read() as connection:
                return find(connection, table, identifier)
        except UnknownRecord:
            if self.unreadable.any(table):  # it may be one of those whose id is damaged, or never have been
                raise UnreadableRecord(table, identifier) from None
            return None

    def _newest(
        self, connection: sqlite3.Connection, table: Table, wanted: Json, before: int | None
    ) -> Iterator[sqlite3.Row]:
        """The rows of models or runs with the `wanted` values from a cursor on, newest first."""
        cursor: int | None = NEWEST if before is None else before
        first, *others = [f"{name} = :{name}" for name in wanted] or ["TRUE"]  # the index is that of the first
        where = " AND ".join(["sequence < :before", first, *(f"+{each}" for each in others)])
        chosen = f"WHERE {where} ORDER BY sequence DESC LIMIT {PAGE}"
        while cursor is not None:
            found = sequences(connection, table, chosen, {**wanted, "before": cursor})
            yield from self._good(connection, table, found)
            cursor = found[-1] if found else None

    def intact(self, connection: sqlite3.Connection, table: Table) -> Iterator[sqlite3.Row]:
        """All rows of models or runs that are what was written, oldest first; the others are noticed."""
        return self._intact(connection, table, "ORDER BY sequence")

    def _intact(
        self, connection: sqlite3.Connection, table: Table, chosen: str, values: Any = ()
    ) -> Iterator[sqlite3.Row]:
        """The rows of models or runs that are what was written; the others are noticed."""
        return self._good(connection, table, sequences(connection, table, chosen, values))

    def _good(self, connection: sqlite3.Connection, table: Table, found: Iterable[int]) -> Iterator[sqlite3.Row]:
        """One by one: all of them may be more than fits into memory."""
        for sequence in found:
            try:
                row = connection.execute(f"{SELECT[table]} WHERE sequence = ?", (sequence,)).fetchone()
            except sqlite3.DatabaseError as error:
                if not is_malformed(error):
                    raise
                self.unreadable.notice(table, f"in row {sequence}")
                continue
            if row is None:  # deleted since it was found
                continue
            if intact(row):
                yield row
            else:
                self.unreadable.notice(table, row[KEY[table]])

    def _judged(
        self, rows: Iterable[sqlite3.Row], after: int = 0, *, of: EventTable = "events"
    ) -> list[tuple[sqlite3.Row, bool]]:
        """Events of one run, or benchmark, in order, from the one behind `after`; whether each is what was written."""
        judged = [(row, intact(row)) for row in rows]
        for row, good in judged:
            if not good:
                self.unreadable.notice_events(row[KEY[of]], (row["id"],), of=of)
        for before, behind in pairwise([after, *(row["id"] for row, good in judged if good)]):
            self.unreadable.notice_events(judged[0][0][KEY[of]], range(before + 1, behind), of=of)
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
