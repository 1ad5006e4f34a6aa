"""What the events of runs are read by: one run's, and which runs there are to follow."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

from backend.state.checked import Checked
from backend.state.records import ACTIVE, UNREADABLE, Json, RunState, StoredEvent
from backend.state.rows import SELECT, intact, to_event, to_run
from backend.state.tables import find, metrics_at, state_of, turn_of


@dataclass(frozen=True)
class Track:
    """A run as a reader of many meets it. `sequence`: its number in the order of creation. `resumes`: as its record."""

    sequence: int
    run_id: str
    active: bool
    last_id: int
    resumes: list[list[int]]


@dataclass(frozen=True)
class Bearings:
    """How far all runs have come: the number of the newest, and of the last end or resume. Both only ever grow."""

    newest: int
    turn: int


class Histories(Checked):
    """The part of the store that event streams read."""

    def events(self, run_id: str, after: int = 0, limit: int | None = None) -> list[StoredEvent]:
        """Events with an id above `after`, oldest first; in the place of a damaged one, one that says so."""
        with self._read() as connection:
            chosen = f"{SELECT['events']} WHERE run_id = ? AND id > ? ORDER BY id LIMIT ?"
            rows = connection.execute(chosen, (run_id, after, -1 if limit is None else limit)).fetchall()
        return [
            to_event(row) if good else StoredEvent(row["id"], UNREADABLE, "{}")
            for row, good in self._judged(rows, after)
        ]

    def tail(self, run_id: str) -> tuple[RunState, int]:
        """A run's state and the id of its newest event, from one moment; `UnknownRecord` if there is no such run."""
        with self._noticing(), self._read() as connection:
            return state_of(find(connection, "runs", run_id)), _last_id(connection, run_id)

    def last_step(self, run_id: str) -> int:
        """The number of the last step that events of a run tell of; 0 where none does."""
        chosen = f"{SELECT['events']} WHERE run_id = ? AND name = 'step' ORDER BY id DESC LIMIT 1"
        with self._read() as connection:
            rows = connection.execute(chosen, (run_id,)).fetchall()
        return next((int(to_event(row).data["step"]) for row in rows if intact(row)), 0)

    def metrics_at(self, run_id: str, epochs: Iterable[int]) -> dict[int, Json]:
        """The metrics of a run at some epochs, as far as it has them."""
        with self._read() as connection:
            return metrics_at(connection, run_id, epochs)

    def seconds_at(self, run_id: str, epochs: Iterable[int]) -> dict[int, float]:
        """How long a run had trained at the end of some epochs: the sum of the times of all epochs up to each.

        SQLite adds up what it can read, without a look at checksums, so that 100,000 epochs hold nobody up.
        """
        wanted, number = set(epochs), "CASE WHEN json_valid(data) THEN json_extract(data, '$.{}') END"
        columns = f"{number.format('epoch')} AS epoch, {number.format('epoch_time')} AS took"
        chosen = f"SELECT id, {columns} FROM events WHERE run_id = ? AND name = 'metric'"
        summed = f"SELECT epoch, sum(CAST(took AS REAL)) OVER (ORDER BY id) AS took FROM ({chosen})"
        some = f"SELECT epoch, took FROM ({summed}) WHERE epoch IN (SELECT value FROM json_each(?))"
        with self._read() as connection:
            rows = connection.execute(some, (run_id, json.dumps(sorted(wanted)))).fetchall()
        return {int(row["epoch"]): float(row["took"] or 0.0) for row in rows}

    def bearings(self) -> Bearings:
        with self._read() as connection:
            counted = connection.execute("SELECT CAST(seq AS INTEGER) FROM sqlite_sequence WHERE name = 'runs'")
            row = counted.fetchone()
            return Bearings(int(row[0] or 0) if row else 0, turn_of(connection))

    def sequence(self, run_id: str) -> int:
        """The number of a run that is there."""
        with self._noticing(), self._read() as connection:
            return int(find(connection, "runs", run_id)["sequence"])

    def run_of(self, sequence: int) -> str | None:
        """The id of the run with a number; None if it is deleted, or cannot be read."""
        with self._read() as connection:
            found = self._intact(connection, "runs", "WHERE sequence = ?", (sequence,))
            return next((str(row["run_id"]) for row in found), None)

    def active(self) -> list[Track]:
        """Runs that are queued or running, oldest first."""
        return self._tracks(f"WHERE state IN {ACTIVE} ORDER BY sequence")

    def turned(self, *, since: int, up_to: int) -> list[Track]:
        """Those of the first `up_to` runs that have ended or been resumed since a number of ends and resumes."""
        return self._tracks("WHERE ended > ? AND sequence <= ? ORDER BY sequence", since, up_to)

    def next_run(self, *, after: int, up_to: int) -> Track | None:
        """The first run behind a number that can be read; None if there is none."""
        while after < up_to:
            first = "SELECT min(sequence) FROM runs WHERE sequence > ? AND sequence <= ?"
            with self._read() as connection:
                (found,) = connection.execute(first, (after, up_to)).fetchone()
            if found is None:
                return None
            if tracks := self._tracks("WHERE sequence = ?", found):
                return tracks[0]
            after = found
        return None

    def _tracks(self, chosen: str, *values: int) -> list[Track]:
        with self._read() as connection:
            return [
                Track(
                    row["sequence"],
                    row["run_id"],
                    row["state"] in ACTIVE,
                    _last_id(connection, row["run_id"]),
                    to_run(row, [], ()).resumes or [],
                )
                for row in self._intact(connection, "runs", chosen, values)
            ]


def _last_id(connection: sqlite3.Connection, run_id: str) -> int:
    row = connection.execute("SELECT max(id) FROM events WHERE run_id = ?", (run_id,)).fetchone()
    return int(row[0] or 0)
