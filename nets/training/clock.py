"""The time that a run takes itself, whoever listens to it and however long they take."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

Event = TypeVar("Event")
Result = Any  # a tree of arrays that a device computes


class Clock:
    """Stands still while whoever hears of an event has the floor, but for what the device works on meanwhile."""

    def __init__(self, ready: Callable[[Result], bool]) -> None:
        """`ready`: whether a device has finished a result."""
        self._ready = ready
        self._running: Result | None = None
        self._expected = 0.0
        self._stood = 0.0

    def now(self) -> float:
        """Seconds."""
        return time.perf_counter() - self._stood

    def dispatched(self, result: Result | None, expected: float = 0.0) -> None:
        """What the device works on from now on, and for about how many seconds; None: nothing."""
        self._running, self._expected = result, expected

    def waited(self, seconds: float) -> None:
        """So long the run itself has waited for something that is no part of its work."""
        self._stood += seconds

    def around(self, events: Iterator[Event]) -> Iterator[Event]:
        """The same events; the clock stands still while each is out."""
        for event in events:
            idle = self._idle()
            left = time.perf_counter()
            yield event
            away = time.perf_counter() - left
            if idle:
                self._stood += away
            elif self._idle():  # since when, nobody can tell
                self._stood += max(0.0, away - self._expected)

    def _idle(self) -> bool:
        return self._running is None or self._ready(self._running)
