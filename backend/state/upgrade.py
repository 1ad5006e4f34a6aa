"""What Python fills in where a store gets the tables of a later version, inside the transaction that is open."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Collection, Iterator, Mapping

import msgspec

from backend.state.curve import extended
from backend.state.errors import is_malformed
from backend.state.naming import LONGEST
from backend.state.records import Json
from backend.state.rows import FACTS, SELECT, SUMMED, Table, checksum, dumps, intact
from backend.state.summary import summarised
from backend.state.tables import change, makes_sense, sum_up

SUMS_SINCE = 3  # the version whose rows first have checksums
ADDED: Mapping[int, Mapping[Table, Collection[str]]] = {  # the summed columns that later versions add
    4: {"runs": (FACTS,)},
    5: {"runs": ("name", "tags", "summary"), "models": ("made_for_run",)},
}


def upgrade(connection: sqlite3.Connection, before: int) -> None:
    """Fill in all that came after version `before`. A row that was damaged still is."""
    tables: tuple[Table, ...] = ("runs", "models")
    for table in tables:
        if before < SUMS_SINCE:
            _seal(connection, table)
        else:
            _cover(
                connection, table, {name for since in ADDED if since > before for name in ADDED[since].get(table, ())}
            )
    if before < 5:
        _tell_apart(connection)


def _rows(connection: sqlite3.Connection, table: Table) -> Iterator[sqlite3.Row]:
    """One by one, oldest first, but for those on pages that cannot be read, which are told of later."""
    for (sequence,) in connection.execute(f"SELECT sequence FROM {table} ORDER BY sequence").fetchall():
        try:
            yield connection.execute(f"{SELECT[table]} WHERE sequence = ?", (sequence,)).fetchone()
        except sqlite3.DatabaseError as error:
            if not is_malformed(error):
                raise


def _seal(connection: sqlite3.Connection, table: Table) -> None:
    """Give every row its first checksum, unless it is invalid."""
    for row in _rows(connection, table):
        if makes_sense(table, row):
            found = sum_up(connection, row["model_id"]) if table == "models" else _curve(connection, row["run_id"])
            change(connection, table, row, found)


def _cover(connection: sqlite3.Connection, table: Table, added: Collection[str]) -> None:
    """Let every checksum cover the added columns: one that did not fit still does not."""
    for row in _rows(connection, table) if added else ():
        if checksum(row[name] for name in SUMMED[table] if name not in added) == row["checksum"]:
            change(connection, table, row, {})


def _tell_apart(connection: sqlite3.Connection) -> None:
    """Name every run as its model, with a number from the second on, and sum up its metrics."""
    names = {row["model_id"]: row["name"] for row in _rows(connection, "models") if intact(row)}
    count: Counter[str] = Counter()
    for row in filter(intact, _rows(connection, "runs")):
        model_id = row["model_id"]
        count[model_id] += 1
        number = f" #{count[model_id]}" if count[model_id] > 1 else ""
        name = f"{names.get(model_id, model_id)[:LONGEST]}{number}"
        change(connection, "runs", row, {"name": name, **_summary(connection, row["run_id"])})


def _curve(connection: sqlite3.Connection, run_id: str) -> Json:
    """Where the metrics of a run are, as a column of it."""
    curve = None
    for event_id, data in _metrics(connection, run_id):
        curve = extended(curve, event_id, data)
    return {"curve": dumps(curve) if curve else None}


def _summary(connection: sqlite3.Connection, run_id: str) -> Json:
    """What the metrics of a run come to, as a column of it."""
    summary = None
    for _, data in _metrics(connection, run_id):
        summary = summarised(summary, data)
    return {"summary": dumps(summary) if summary else None}


def _metrics(connection: sqlite3.Connection, run_id: str) -> Iterator[tuple[int, Json]]:
    """Those that can be read, with the ids of their events."""
    for row in connection.execute(f"{SELECT['events']} WHERE run_id = ? AND name = 'metric' ORDER BY id", (run_id,)):
        if intact(row):
            yield row["id"], msgspec.json.decode(row["data"])
