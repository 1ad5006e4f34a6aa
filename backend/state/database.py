"""The connections to the store's file: one that writes, and others that read beside it."""

from __future__ import annotations

import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar
from weakref import ReferenceType, ref

from backend.state.reserve import Reserve
from backend.state.rows import text
from backend.state.schema import SCHEMA_VERSION
from backend.state.selection import folded

IDLE_READERS = 8
MANY = 1000  # queries of one transaction, until those that are over are forgotten
OTHERS = 60.0  # seconds to wait for another process that writes: an import adds all its records in one transaction
NO_ROOM = (
    *(sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_TRUNCATE),
    *(sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_SHMMAP),
)
PRAGMAS = (
    *("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"),
    "secure_delete = OFF",  # a deletion writes no more than it must: the disk may be full
)
T = TypeVar("T")
C = TypeVar("C", bound=sqlite3.Connection)


def out_of_room(error: Exception) -> bool:
    """Whether SQLite could not write for want of room: a full disk, a quota, a limit on the size of files."""
    code = getattr(error, "sqlite_errorcode", None)
    return code in NO_ROOM if code is not None else "disk is full" in str(error)


class Reader(sqlite3.Connection):
    """A connection that reads, and that the next reader gets without what was left of the one before.

    A query that was not read to its end keeps its connection at the moment that it saw, beyond the end of the
    transaction: whoever asked next would not find what had been written since.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._queries: list[ReferenceType[sqlite3.Cursor]] = []

    def execute(self, *args: Any) -> sqlite3.Cursor:
        cursor = sqlite3.Connection.execute(self, *args)
        self._queries.append(ref(cursor))
        if len(self._queries) > MANY:
            self._queries = [query for query in self._queries if query() is not None]
        return cursor

    def end_queries(self) -> None:
        for query in self._queries:
            if (cursor := query()) is not None:
                cursor.close()
        self._queries.clear()


class Database:
    """One SQLite file. Safe from any thread; `sqlite3.Error` reaches the caller.

    Writes go through one connection under a lock and are on the disk when `_write` is left (WAL, synchronous=FULL).
    Reads use connections of their own, so that they never wait for a writer.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._lock = threading.Lock()
        self._readers: deque[Reader] = deque()
        self._here = threading.local()
        self._closed = False
        self._reserve = Reserve(path.parent)
        try:
            self._writer = self._opened()
        except sqlite3.OperationalError as error:
            if not out_of_room(error) or not self._reserve.give_back():
                raise
            self._writer = self._opened()
            self._reserve.take_again()

    def close(self) -> None:
        """Close every connection; later calls raise `sqlite3.ProgrammingError`."""
        with self._lock:
            self._closed = True
            while self._readers:
                self._readers.pop().close()
            self._writer.close()

    def writable(self, *, patience: float) -> bool:
        """Whether a write gets to the disk now: by one, of what is there already. `patience`: seconds for others.

        Others are threads of this process, and then other processes.
        """
        if not self._lock.acquire(timeout=patience):
            return False
        try:
            self._writer.execute(f"PRAGMA busy_timeout = {1000 * patience:.0f}").fetchall()
            self._writer.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        except sqlite3.Error:
            return False
        finally:
            with suppress(sqlite3.Error):  # it is closed
                self._writer.execute(f"PRAGMA busy_timeout = {1000 * OTHERS:.0f}").fetchall()
            self._lock.release()
        return True

    def keep_reserve(self) -> None:
        """Keep room for deletions. Only where a server runs: nobody else deletes."""
        self._reserve.keep()

    def by_all_means(self, write: Callable[[], T]) -> T:
        """Carry out a deletion, or what has to come before one, on a full disk in the room that was kept for it."""
        try:
            return write()
        except sqlite3.OperationalError as error:
            if not out_of_room(error):
                raise
        given_back = self._reserve.give_back()
        try:
            self._shorten_log()
            self._writer.execute("PRAGMA cache_spill = OFF")  # pages that are deleted after all are not written first
            return write()
        finally:
            self._writer.execute("PRAGMA cache_spill = ON")
            self._shorten_log()
            if given_back:
                self._reserve.take_again()

    def _shorten_log(self) -> None:
        """Bring what the log holds into the file, and give its room back, as far as that can be done now."""
        with self._lock, suppress(sqlite3.OperationalError):
            self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def attach(self, path: Path, name: str) -> None:
        """Let transactions that write see another store's file under `name`."""
        with self._lock:
            self._writer.execute(f"ATTACH DATABASE ? AS {name}", (str(path),))

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction in which nobody else writes, in other processes either."""
        with self._write() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A transaction that sees one moment."""
        with self._read() as connection:
            yield connection

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        """The connection that writes, inside a transaction."""
        with self._lock:
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:  # a full disk makes SQLite roll back by itself
                    self._writer.execute("ROLLBACK")
                raise

    @contextmanager
    def _read(self) -> Iterator[sqlite3.Connection]:
        """A connection for one thread, inside a transaction, so that several queries see one moment.

        What is read inside, by the same thread, sees that moment as well.
        """
        outer: sqlite3.Connection | None = getattr(self._here, "connection", None)
        if outer is not None:
            yield outer
            return
        if self._closed:
            raise sqlite3.ProgrammingError("the store is closed")
        try:
            connection = self._readers.pop()
        except IndexError:
            connection = self._connect(Reader)
        self._here.connection = connection
        try:
            connection.execute("BEGIN")
            yield connection
            connection.end_queries()
            connection.execute("COMMIT")
        except BaseException:
            connection.close()
            raise
        finally:
            self._here.connection = None
        if self._closed or len(self._readers) >= IDLE_READERS:
            connection.close()
        else:
            self._readers.append(connection)

    def _opened(self) -> sqlite3.Connection:
        """The connection that writes. Its files beside the store take some room."""
        connection = self._connect(sqlite3.Connection)
        try:
            for pragma in PRAGMAS:
                connection.execute(f"PRAGMA {pragma}").fetchall()
        except BaseException:
            connection.close()
            raise
        return connection

    def _connect(self, kind: type[C]) -> C:
        connection = sqlite3.connect(
            self._path, timeout=OTHERS, isolation_level=None, check_same_thread=False, factory=kind
        )
        connection.row_factory = sqlite3.Row
        connection.text_factory = text
        connection.create_function("folded", 1, folded, deterministic=True)
        return connection
