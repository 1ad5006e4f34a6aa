"""Lists of runs: filtered, sorted, and read one by one."""

from __future__ import annotations

import sqlite3
import threading
from array import array
from collections import OrderedDict
from collections.abc import Collection, Generator, Iterator
from contextlib import closing, suppress
from itertools import islice
from pathlib import Path

from backend.state.checked import NEWEST, Checked
from backend.state.errors import UnknownCursor
from backend.state.records import DETAILS, Detail, RunRecord, RunState
from backend.state.rows import to_run
from backend.state.selection import Selection, Sort, expression

Key = float | str | None  # what a run is sorted by
REMEMBERED = 10_000  # places in sorted lists
PIECE = 200  # runs that are read at a time where all of them are
EVERY = Selection()


class Places:
    """The keys of runs that were listed of late, so that a page goes on where the one before it ended.

    By then a run may be deleted, or may have got another value. Safe from any thread.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._keys: OrderedDict[tuple[str, int], Key] = OrderedDict()

    def keep(self, sort: Sort, sequence: int, key: Key) -> None:
        with self._lock:
            self._keys[sort.name, sequence] = key
            self._keys.move_to_end((sort.name, sequence))
            if len(self._keys) > REMEMBERED:
                self._keys.popitem(last=False)

    def find(self, sort: Sort, sequence: int) -> tuple[Key] | None:
        with self._lock:
            place = sort.name, sequence
            return (self._keys[place],) if place in self._keys else None


class Listing(Checked):
    """Reads lists of runs. What is damaged is left out, and noticed."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._places = Places()

    def list_runs(
        self,
        model_id: str | None = None,
        state: RunState | None = None,
        limit: int | None = None,
        *,
        metrics: bool = True,
    ) -> list[RunRecord]:
        """Runs of a model and in a state, newest first."""
        details = DETAILS if metrics else tuple(name for name in DETAILS if name != "metrics")
        selection = Selection(model_id, (state,) if state else ())
        with closing(self.each_run(selection, details=details)) as found:
            return [run for _, run in islice(found, limit)]

    def each_run(
        self, selection: Selection = EVERY, *, before: int | None = None, details: Collection[Detail] = DETAILS
    ) -> Generator[tuple[int, RunRecord]]:
        """Selected runs in their order, one by one, each with its cursor and with `details` alone.

        before: the cursor of a run, to get those that follow it. `UnknownCursor` where no run has it in a sorted list.
        """
        plain = selection.plain
        with self._read() as connection, suppress(GeneratorExit):
            rows = (
                self._newest(connection, "runs", plain, before)
                if plain is not None
                else self._good(connection, "runs", self._selected(connection, selection, before))
            )
            for row in rows:
                metrics = self._shown(connection, row) if "metrics" in details else []
                yield row["sequence"], to_run(row, metrics, details)

    def select(self, selection: Selection, *, limit: int | None = None) -> array[int]:
        """The cursors of selected runs, `limit` at most, in their order; eight bytes each."""
        with self._read() as connection:
            return array("q", islice(self._selected(connection, selection, None), limit))

    def runs_at(self, cursors: array[int], details: Collection[Detail] = ()) -> Iterator[RunRecord]:
        """Runs by their cursors, with `details` (but no metrics), some at a time; those that are gone are left out."""
        for start in range(0, len(cursors), PIECE):
            with self._read() as connection:
                rows = self._good(connection, "runs", cursors[start : start + PIECE])
                runs = [to_run(row, [], details) for row in rows]
            yield from runs

    def _selected(self, connection: sqlite3.Connection, selection: Selection, before: int | None) -> Iterator[int]:
        """The keys of rows. Of a list that is not sorted, no more is looked at than is taken."""
        sort = selection.sort
        conditions, values = selection.conditions()
        key, order, after = "NULL", "sequence DESC", "sequence < :before"
        values["before"] = NEWEST if before is None else before
        if sort is not None:
            key, order = self._expression(sort), f"key IS NULL, key{' DESC' if sort.descending else ''}, sequence DESC"
            after = "TRUE" if before is None else self._after(connection, sort, before, values)
        where = " AND ".join(["TRUE", *conditions])
        keyed = f"SELECT sequence, {key} AS key FROM runs INDEXED BY runs_listed WHERE {where}"
        found = connection.execute(f"SELECT sequence, key FROM ({keyed}) WHERE {after} ORDER BY {order}", values)
        with closing(found):
            for sequence, of_run in found:
                if sort is not None:
                    self._places.keep(sort, sequence, of_run)
                yield sequence

    def _expression(self, sort: Sort) -> str:
        found = expression(sort.name)
        assert found is not None, "queries name what there is"
        return found

    def _after(self, connection: sqlite3.Connection, sort: Sort, before: int, values: dict[str, Key]) -> str:
        """What holds for those that follow a run in a sorted list, as SQL; its value is added to `values`."""
        known = self._places.find(sort, before)
        if known is None:
            chosen = f"SELECT {self._expression(sort)} FROM runs WHERE sequence = ?"
            known = connection.execute(chosen, (before,)).fetchone()
        if known is None:
            raise UnknownCursor(before)
        older = "sequence < :before"
        if known[0] is None:
            return f"key IS NULL AND {older}"
        values["key"] = known[0]
        return f"(key {'<' if sort.descending else '>'} :key OR key = :key AND {older} OR key IS NULL)"
