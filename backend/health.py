"""How the server is, asked by people and by whatever watches it."""

from __future__ import annotations

import functools
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from backend.records import Json
from nets.platform import devices, versions

if TYPE_CHECKING:
    from backend.services import Services


def health(services: Services) -> Json:
    """Measured now."""
    state_dir = services.settings.state_dir
    writable = _is_writable(state_dir)
    return {
        "status": "ok" if writable else "degraded",
        "version": _versions()["lamina"],
        "uptime_seconds": round(time.monotonic() - services.started, 3),
        "devices": devices(),
        "active_run": services.runs.active(),
        "queue_length": services.runs.queue_length(),
        "disk_free_bytes": shutil.disk_usage(state_dir).free if state_dir.is_dir() else 0,
        "store_writable": writable,
        "versions": _versions(),
    }


@functools.cache
def _versions() -> dict[str, str]:
    """They cannot change while the process lives, and reading them takes milliseconds."""
    return versions()


def _is_writable(folder: Path) -> bool:
    """By writing: permissions alone do not tell of a full or read-only disk."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"x")
            file.flush()
    except OSError:
        return False
    return True
