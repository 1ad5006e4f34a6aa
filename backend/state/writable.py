"""Whether the state directory can be written."""

from __future__ import annotations

import tempfile
import threading
import time
from pathlib import Path

from backend.state.store import Store

BELIEVED = 2.0  # seconds that an answer about the disk holds: it costs a write
PATIENCE = 1.0  # seconds for a write that is under way


class Writing:
    """Whether the state directory takes what has to be kept. Safe from any thread."""

    def __init__(self, store: Store, folder: Path) -> None:
        self._store, self._folder = store, folder
        self._lock = threading.Lock()
        self._answer, self._asked = False, -BELIEVED

    def works(self) -> bool:
        """By writing, to the store and beside it: permissions alone do not tell of a full or read-only disk."""
        if not self._lock.acquire(timeout=PATIENCE):  # somebody has been writing for so long
            return False
        try:
            if time.monotonic() - self._asked >= BELIEVED:
                self._answer = self._store.writable(patience=PATIENCE) and _takes_a_file(self._folder)
                if self._answer:
                    self._store.keep_reserve()
                self._asked = time.monotonic()
            return self._answer
        finally:
            self._lock.release()


def _takes_a_file(folder: Path) -> bool:
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"x")
            file.flush()
    except OSError:
        return False
    return True
