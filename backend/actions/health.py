"""How the server is, asked by people and by whatever watches it: answered while everything else is busy."""

from __future__ import annotations

import functools
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from backend.actions.retention import Retention
from backend.events.capacity import Places
from backend.state.records import Json
from backend.state.sizes import StateSize
from backend.state.writable import Writing
from backend.training.runs import Runs
from nets.process.device import versions
from nets.process.devices import in_short

MOVED = "the state directory was moved, removed or replaced under this server: put it back, or start the server again"


@dataclass(frozen=True, kw_only=True)
class Health:
    """`streams`: of events. `warnings`: where each part of the server says what ails it. `started`: monotonic."""

    state_dir: Path
    writing: Writing
    runs: Runs
    streams: Places
    retention: Retention
    state_size: StateSize
    warnings: Sequence[Callable[[], list[str]]]
    started: float

    def now(self) -> Json:
        """Measured now."""
        writable, in_place = self.writing.works(), self.runs.owns_state()
        said = [warning for each in self.warnings for warning in each()]
        return {
            "status": "ok" if writable and in_place else "degraded",
            "warnings": said if in_place else [MOVED, *said],
            "version": _versions()["lamina"],
            "uptime_seconds": round(time.monotonic() - self.started, 3),
            "devices": in_short(),
            "active_run": self.runs.active(),
            "active_benchmark": self.runs.active("benchmark"),
            "queue_length": self.runs.queue_length(),
            "event_streams": self.streams.taken,
            "disk_free_bytes": shutil.disk_usage(self.state_dir).free if self.state_dir.is_dir() else 0,
            "state_bytes": self.state_size.known(),
            "retention": self.retention.rules(),
            "store_writable": writable,
            "versions": _versions(),
        }


@functools.cache
def _versions() -> dict[str, str]:
    """They cannot change while the process lives, and reading them takes milliseconds."""
    return versions()
