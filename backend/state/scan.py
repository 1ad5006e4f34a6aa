"""Every row of a store held against its checksum, as fast as the disk gives it: without making text of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from zlib import crc32

from backend.state.rows import SELECT, SUMMED, EventTable, Table, text
from backend.state.tables import KEY

RECORDS: tuple[Table, ...] = ("models", "runs", "benchmarks")


def damaged_records(connection: sqlite3.Connection, table: Table) -> Iterator[str]:
    """The id of every model, run or benchmark that is not what was written. `connection`: gives text as bytes."""
    at = SUMMED[table].index(KEY[table])
    for *values, told in connection.execute(SELECT[table]):
        if _sum(values) != told:
            yield _shown(values[at])


def damaged_events(connection: sqlite3.Connection, table: EventTable) -> Iterator[tuple[str, range]]:
    """Run, or benchmark, and ids of events that are not what was written, or are missing before others."""
    before: object = None
    last = 0
    for *values, told in connection.execute(SELECT[table]):
        identifier, number = values[:2]
        if identifier != before:
            before, last = identifier, 0
        if _sum(values) != told:
            yield _shown(identifier), range(number, number + 1)
            continue
        if number > last + 1:
            yield _shown(identifier), range(last + 1, number)
        last = number


def _sum(values: list[object]) -> int:
    """`rows.checksum` of text as bytes."""
    return crc32(b"\x1f".join([each if type(each) is bytes else str(each).encode() for each in values]))


def _shown(identifier: object) -> str:
    return text(identifier) if isinstance(identifier, bytes) else str(identifier)
