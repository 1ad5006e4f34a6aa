"""What a server does of its own accord, marked on the disk while it lasts: what has ended one is not begun again."""

from __future__ import annotations

import hashlib
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from backend.state.files import ATTEMPTS_FOLDER, no_link, sync_folder
from nets.process.device import versions

logger = logging.getLogger("lamina.attempts")

CAREFUL_SECONDS = 3600.0  # after which a start no longer takes an end in an attempt for that of the server before it
BELIEVED_SECONDS = 30 * 86_400.0  # after which what has ended a server may be tried once more
COMPILING, READING = "compiling a network ahead", "reading a data set ahead"
MEASURING = "measuring a device"
CAREFUL = "no data set is read and no network compiled ahead until a run succeeds: the last server ended while doing so"
LONGEST = 1000  # characters of a mark


class Attempts:
    """Marks in a state directory, a file each. Safe from any thread; of the same work, one attempt at a time."""

    def __init__(self, state_dir: Path) -> None:
        self._folder = state_dir / ATTEMPTS_FOLDER
        self._lock = threading.Lock()
        self._begun: set[Path] = set()
        self._closed = False
        self._fatal = {path: text for path in sorted(self._folder.glob("*")) if (text := _left(path))}
        # What ended the last server may be no matter of this one attempt: memory may be short for any.
        self._careful = any(time.time() - path.stat().st_mtime < CAREFUL_SECONDS for path in self._fatal)
        for text in self.warnings():
            logger.warning("%s", text)

    def warnings(self) -> list[str]:
        """What is left out, and why."""
        return [*self._fatal.values(), *([CAREFUL] if self._careful else [])]

    @contextmanager
    def of(self, what: str, *, depends_on: object = "") -> Iterator[bool]:
        """Whether to do `what`, which is marked as begun until the block is left.

        False where a server ended in the middle of it, where the last one did so in another attempt and no run has
        succeeded since, where the disk takes no mark, and once this server closes.
        `depends_on`: tells apart, by its repr, what has the same words.
        """
        path = self._folder / _name(what, depends_on)
        begun = self._begin(path, what)
        try:
            yield begun
        finally:
            if begun:
                self._take_off(path)

    def succeeded(self, what: str, *, depends_on: object = "") -> None:
        """Somebody has had it done, and it went well: it may be done of our own accord again."""
        path = self._folder / _name(what, depends_on)
        self._careful = False
        if self._fatal.pop(path, None):
            self._take_off(path)

    def close(self) -> None:
        """An orderly end comes in the middle of whatever it comes, and leaves no mark."""
        with self._lock:
            self._closed = True
            begun = list(self._begun)
        for path in begun:
            self._take_off(path)

    def _begin(self, path: Path, what: str) -> bool:
        with self._lock:
            if self._closed or self._careful or path in self._fatal:
                return False
            try:
                self._folder.mkdir(exist_ok=True)
                with open(path, "w", opener=no_link) as file:
                    file.write(_warning(what))
                    file.flush()
                    os.fsync(file.fileno())
                sync_folder(self._folder)
            except OSError as error:
                logger.warning("%s is skipped: the state directory cannot be written (%s)", what, error.strerror)
                return False
            self._begun.add(path)
            return True

    def _take_off(self, path: Path) -> None:
        with self._lock, suppress(OSError):
            self._begun.discard(path)
            path.unlink(missing_ok=True)


def _warning(what: str) -> str:
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
    ended = f"a server that began it at {when} UTC ended before it was done"
    return f"{what} is skipped: {ended}. A run that succeeds with it ends this"


def _name(what: str, depends_on: object) -> str:
    """With other versions of what computes it is another attempt."""
    return f"{_digest(versions())}-{_digest((what, depends_on))}"


def _digest(value: object) -> str:
    return hashlib.sha256(repr(value).encode()).hexdigest()[:24]


def _left(path: Path) -> str:
    """What a mark says that the last server left; nothing, and the mark goes, where it tells of other days."""
    with suppress(OSError, UnicodeDecodeError):
        if path.name.startswith(_digest(versions())) and time.time() - path.stat().st_mtime < BELIEVED_SECONDS:
            with open(path, opener=no_link) as file:
                return file.read(LONGEST)
        path.unlink()
    return ""
