"""The steady beat of a run's progress: never a flood, never a silence."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType

from backend.state.records import Json

SHORTEST = 0.2  # seconds between two reports of one phase: 300 followers shall not slow the training
LONGEST = 0.4  # seconds until the newest report is sent again, while a compiler or a download says nothing


class Pulse:
    """Passes reports on to `send`: at most every 0.2 s, at least every 0.4 s, a new phase at once.

    A context manager; nothing is sent after its end.
    """

    def __init__(self, send: Callable[[Json], None]) -> None:
        self._send = send
        self._lock = threading.Lock()
        self._newest: Json | None = None
        self._sent_at = 0.0
        self._ended = threading.Event()
        self._ticker = threading.Thread(target=self._tick, name="progress-ticker", daemon=True)

    def __enter__(self) -> Pulse:
        self._ticker.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._ticker.join()

    def show(self, report: Json) -> None:
        """Make `report` the newest; its `phase` decides whether it can wait."""
        with self._lock:
            same_phase = self._newest is not None and self._newest["phase"] == report["phase"]
            self._newest = report
            if not same_phase or time.monotonic() - self._sent_at >= SHORTEST:
                self._pass_on(report)

    def _pass_on(self, report: Json) -> None:
        self._sent_at = time.monotonic()
        self._send(report)

    def _tick(self) -> None:
        wait = LONGEST
        while not self._ended.wait(wait):
            with self._lock:
                wait = self._sent_at + LONGEST - time.monotonic()
                if wait <= 0 or self._newest is None:
                    wait = LONGEST
                    if self._newest is not None:
                        self._pass_on(self._newest)
