"""The store as one file: copied while it may still have a log beside it, and looked at before it is trusted."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from backend.state.files import RUN_FOLDER
from backend.state.integrity import OF_ORDER, look
from backend.state.schema import require_tables, version_of


class NotAStore(Exception):
    """A file is no store of Lamina, or a damaged one."""


def opened(store: Path, *, patience: float = 10.0) -> sqlite3.Connection:
    """A store that is there, with its log. `patience`: seconds to wait for who writes."""
    return sqlite3.connect(f"{_uri(store)}?mode=rw", uri=True, timeout=patience, isolation_level=None)


def copy_into(store: sqlite3.Connection, target: Path) -> None:
    """Copy a store by SQLite's backup, with what is only in its log so far, into one file.

    Inside a transaction that has read: as it was then, whoever writes to it meanwhile.
    """
    with closing(sqlite3.connect(target)) as copy:
        store.backup(copy)
    as_one_file(target)


def as_one_file(store: Path) -> None:
    """Let a store that nobody uses need no log beside it."""
    with closing(sqlite3.connect(store)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE").fetchall()


def require_store(path: Path) -> None:
    """`NotAStore` unless every page can be read and every run has an id that is a plain name; `UnknownSchema`."""
    with closing(sqlite3.connect(f"{_uri(path)}?mode=ro&immutable=1", uri=True)) as connection:
        try:
            if not version_of(connection, path.name):
                raise NotAStore("it is empty, or not a Lamina store")
            require_tables(connection, path.name)
            found = [each for each in look(connection, "quick_check") if not OF_ORDER.fullmatch(each)]
            run_ids = [row[0] for row in connection.execute("SELECT run_id FROM runs")]
        except sqlite3.DatabaseError as error:
            raise NotAStore(str(error)) from None
    if found:
        raise NotAStore(found[0])
    if not all(isinstance(run_id, str) and RUN_FOLDER.fullmatch(run_id) for run_id in run_ids):
        raise NotAStore("it has a run with an invalid id")


def _uri(path: Path) -> str:
    return f"file:{quote(str(path.absolute()))}"
