"""How the server is, asked by people and by whatever watches it: answered while everything else is busy."""

from __future__ import annotations

import functools
import shutil
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from backend.state.records import Json
from backend.state.store import Store
from nets.process.device import devices, versions

if TYPE_CHECKING:
    from backend.services import Services

MOVED = "the state directory was moved, removed or replaced under this server: put it back, or start the server again"
BELIEVED = 2.0  # seconds that an answer about the disk holds: it costs a write
PATIENCE = 1.0  # seconds for a write that is under way


def health(services: Services) -> Json:
    """Measured now."""
    state_dir = services.settings.state_dir
    writable, in_place = services.writing.works(), services.runs.owns_state()
    return {
        "status": "ok" if writable and in_place else "degraded",
        "warnings": [
            *([] if in_place else [MOVED]),
            *services.warnings,
            *services.deaths.warnings(),
            *services.attempts.warnings(),
            *services.store.unreadable.sentences(),
        ],
        "version": _versions()["lamina"],
        "uptime_seconds": round(time.monotonic() - services.started, 3),
        "devices": devices(),
        "active_run": services.runs.active(),
        "queue_length": services.runs.queue_length(),
        "event_streams": services.streams.taken,
        "disk_free_bytes": shutil.disk_usage(state_dir).free if state_dir.is_dir() else 0,
        "store_writable": writable,
        "versions": _versions(),
    }


@functools.cache
def _versions() -> dict[str, str]:
    """They cannot change while the process lives, and reading them takes milliseconds."""
    return versions()


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
