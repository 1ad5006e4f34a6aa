"""A state held still for a moment beside a running server: its files linked, its store copied as of that moment."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from backend.state.files import DESCRIPTION, RUN_FOLDER, TRAINING, WEIGHTS
from backend.state.schema import SCHEMA_VERSION, UnknownSchema, version_of
from backend.state.store_file import copy_into, opened
from backend.state.working import link

PATIENCE = 60.0  # seconds that the server may take for a write of its own; it waits as long for ours


def take(store: Path, copy: Path, folder: Path) -> float:
    """Copy `store` into the file `copy`, and link the files of its runs into `folder`; the seconds that writers waited.

    Whoever writes waits while the few files are linked that have changed since all were. The store is copied after
    that, as it was then. A training state is kept before anyone is told of its epoch: the one that is linked is that
    of the record's epoch, or the one after it. Raises OSError, sqlite3.Error.
    """
    state_dir = store.parent
    with closing(opened(store)) as reader, closing(opened(store, patience=PATIENCE)) as writer:
        reader.execute("BEGIN")
        ended = _ended(reader)
        _link(state_dir, folder, [row[0] for row in reader.execute("SELECT run_id FROM runs")])
        reader.execute("COMMIT")
        writer.execute("BEGIN IMMEDIATE")
        began = time.perf_counter()
        try:
            reader.execute("BEGIN")
            _link(state_dir, folder, _changed(reader, ended))
        finally:
            writer.execute("ROLLBACK")
        paused = time.perf_counter() - began
        copy_into(reader, copy)
        reader.execute("COMMIT")
    return paused


def require_present_schema(store: Path) -> None:
    """`UnknownSchema` unless the tables are those of this version: a server that runs must not lose its own."""
    with closing(opened(store)) as connection:
        version = version_of(connection, store.name)
    if version != SCHEMA_VERSION:
        cure = "stop it first, or use the version of Lamina that it runs"
        raise UnknownSchema(
            f"{store.name} has schema {version}, and this Lamina writes {SCHEMA_VERSION}: a server uses it; {cure}"
        )


def _ended(reader: sqlite3.Connection) -> set[tuple[int, int]]:
    """Of the runs that have ended: row, and number of the end. From an index: the rows are long."""
    rows = reader.execute("SELECT sequence, ended FROM runs INDEXED BY runs_ended WHERE ended IS NOT NULL")
    return {(sequence, ended) for sequence, ended in rows}


def _changed(reader: sqlite3.Connection, before: set[tuple[int, int]]) -> list[str]:
    """The runs whose files may be others than they were: those that are active, and those that have ended since."""
    now = _ended(reader)
    # The last end counts as a new one: a run that was resumed may have ended again with the same number.
    rows = {sequence for sequence, _ in (now - before) | set(sorted(now, key=lambda each: each[1])[-1:])}
    found = [row[0] for row in reader.execute("SELECT run_id FROM runs WHERE state IN ('queued', 'running')")]
    for sequence in rows:
        found += [row[0] for row in reader.execute("SELECT run_id FROM runs WHERE sequence = ?", (sequence,))]
    return found


def _link(state_dir: Path, folder: Path, run_ids: Iterable[object]) -> None:
    """What the folder of each run has now, in place of what was linked of it before."""
    for run_id in run_ids:
        if isinstance(run_id, str) and RUN_FOLDER.fullmatch(run_id):  # a damaged one may be any text
            for name in (WEIGHTS, DESCRIPTION, TRAINING):
                if not link(state_dir / run_id / name, folder / run_id / name):
                    (folder / run_id / name).unlink(missing_ok=True)
