"""Damage to the store's files, looked for at the start of a server, before anything writes to them."""

from __future__ import annotations

import re
import sqlite3
import struct
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

MAGIC = 0x377F0682  # of a write-ahead log; the last bit tells the byte order of what is summed
HEADER, FRAME = 32, 24  # bytes: at the beginning of the log, and before every page in it
WORDS = 1 << 32

# What SQLite finds in single rows: their checksums say which, and only those are left out.
OF_ROWS = re.compile(r"(NULL|[A-Z]+) value in .*|CHECK constraint failed in .*")
# What it finds in the order of rows, which can be made again from the rows.
OF_ORDER = re.compile(
    r"row \d+ missing from index .*|wrong # of entries in index .*|non-unique entry in index .*"
    r"|row not in PRIMARY KEY order for (benchmark_)?events"
)


class Damaged(Exception):
    """The store's files are not as a server left them. The message is a sentence with the cure."""

    def __init__(self, file: Path, reason: str, *, cure: str) -> None:
        super().__init__(f"{file.name} is damaged ({reason}) and was left as it is: restore it from a copy, or {cure}")


def require_whole(path: Path) -> None:
    """Raise `Damaged` unless every page of the store can be read, or there is no store and nothing that misses it.

    Nothing is written: SQLite would bring its log into a damaged file, or end a damaged log where the damage begins.
    """
    log = path.with_name(f"{path.name}-wal")
    if not path.is_file() or not path.stat().st_size:
        _require_new(path, log)
        return
    if log.is_file() and breaks_off(log.read_bytes()):
        cure = f'keep what precedes that place: sqlite3 {path.name} "PRAGMA wal_checkpoint(TRUNCATE)"'
        raise Damaged(log, "committed changes follow a place that cannot be read", cure=cure)
    if (reason := _unreadable(path)) is not None:
        raise damaged(path, reason)


def _unreadable(path: Path) -> str | None:
    """What SQLite has against a file that it only reads."""
    with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as connection:
        try:
            found = look(connection, "quick_check")
        except sqlite3.OperationalError:  # says nothing about the file: it may be locked, or the disk full
            raise
        except sqlite3.DatabaseError as error:
            return str(error)
    return next((each for each in found if not OF_ORDER.fullmatch(each)), None)


def look(connection: sqlite3.Connection, check: str) -> list[str]:
    """What SQLite's `quick_check` or `integrity_check` has against an open store, but for single rows."""
    kept, connection.text_factory = connection.text_factory, bytes  # names of tables may be damaged, too
    try:
        rows = connection.execute(f"PRAGMA {check}").fetchall()
    except UnicodeDecodeError:  # Python's, of what SQLite says of them
        return ["the description of its tables is not text"]
    finally:
        connection.text_factory = kept
    found = [" ".join(bytes(row[0]).decode(errors="replace").split()) for row in rows]
    return [each for each in found if each != "ok" and not OF_ROWS.fullmatch(each)]


def damaged(path: Path, reason: str) -> Damaged:
    """The refusal of a store whose pages cannot be read."""
    return Damaged(path, reason, cure=f'save what is left: sqlite3 {path.name} ".recover"')


def _require_new(path: Path, log: Path) -> None:
    """A store that is missing or empty is a new one only where no run has left a folder, and no log its pages."""
    if any(path.parent.glob("r_*/*")) or (log.is_file() and log.stat().st_size):
        raise Damaged(path, "it is empty or missing, but there are folders of runs", cure="move their folders away")


def breaks_off(log: bytes) -> bool:
    """Whether a write-ahead log has damage before its end. SQLite takes the first frame that it cannot verify for
    the end, as a crash leaves it in the middle of a commit, and forgets the commits behind it.

    A commit is begun when the one before it is on the disk. So a frame that follows a commit, both of them behind a
    frame that is not valid, tells damage from a crash. Format: https://sqlite.org/fileformat2.html#walformat
    """
    if len(log) <= HEADER:  # a crash while it was begun
        return False
    magic, _, size, _, *salt, first, second = struct.unpack_from(">8I", log)
    order = ">" if magic & 1 else "<"
    if magic & ~1 != MAGIC or _sum(order, log[: HEADER - 8], (0, 0)) != (first, second):
        return True
    broken = committed = False
    for valid, commits in _frames(log, size, tuple(salt), order, (first, second)):
        if valid and broken and committed:
            return True
        broken, committed = broken or not valid, valid and (committed or (broken and commits))
    return False


def _frames(
    log: bytes, size: int, salt: tuple[int, ...], order: str, before: tuple[int, int]
) -> Iterator[tuple[bool, bool]]:
    """Of every frame: whether it follows the one before it in this log, and whether it ends a commit."""
    for at in range(HEADER, len(log) - FRAME - size + 1, FRAME + size):
        _, pages_after, *present, first, second = struct.unpack_from(">6I", log, at)
        content = log[at : at + 8] + log[at + FRAME : at + FRAME + size]
        valid = tuple(present) == salt and _sum(order, content, before) == (first, second)
        yield valid, pages_after > 0
        before = first, second


def _sum(order: str, content: bytes, before: tuple[int, int]) -> tuple[int, int]:
    """SQLite's checksum of an even number of 32-bit words, going on from the one `before`."""
    first, second = before
    for one, other in struct.iter_unpack(f"{order}2I", content):
        first = (first + one + second) % WORDS
        second = (second + other + first) % WORDS
    return first, second
