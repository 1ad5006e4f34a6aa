"""A worker that was killed by hand is not told as one that memory ran out for, nor the other way round."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from backend import control_groups
from backend.server.master import DYING_SECONDS, Master
from backend.state.deaths import KILLED, OUT_OF_MEMORY, Deaths


class Clock:
    """Time that passes when it is told to, and the system's kills so far."""

    def __init__(self) -> None:
        self.now, self.kills = 1000.0, 7


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("backend.server.master.time.monotonic", lambda: clock.now)
    monkeypatch.setattr(control_groups, "out_of_memory_kills", lambda: clock.kills)
    monkeypatch.setattr("gunicorn.arbiter.Arbiter.__init__", lambda self, application: None)
    monkeypatch.setattr("gunicorn.arbiter.Arbiter.manage_workers", lambda self: None)
    return clock


@pytest.mark.parametrize(
    ("before", "cause"),
    [(0.0, OUT_OF_MEMORY), (DYING_SECONDS - 1, OUT_OF_MEMORY), (3 * DYING_SECONDS, KILLED), (None, KILLED)],
)
def test_a_kill_of_the_system_is_one_that_came_just_before(
    tmp_path: Path, clock: Clock, before: float | None, cause: str
) -> None:
    """`before`: seconds from the system's kill of some process to the worker's end."""
    master: Any = Master(None, deaths=Deaths(tmp_path), parent=None)
    master.WORKERS = {1: None}
    for second in range(100):
        clock.now += 1
        clock.kills += before is not None and second == 99 - before
        if second < 99:
            master.manage_workers()
    master.mourn(-signal.SIGKILL, hung=False)
    assert cause in master.deaths.warnings()[0]
