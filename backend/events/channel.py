"""The live end of one run's log: its newest events and the progress of the moment, for all who follow."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from backend.events.wire import Frame

TAIL = 64  # newest events that a channel keeps encoded; who is further behind reads from the store


@dataclass(frozen=True)
class News:
    """What a follower has not seen. `frames`: None if it is so far behind that the store must tell."""

    frames: list[Frame] | None
    progress: Frame | None
    last_id: int
    shown: int
    ended: bool


class Channel:
    """The live end of one run's log: its newest events, encoded once for all followers, and the progress slot."""

    def __init__(self, last_id: int, wake: Callable[[], None]) -> None:
        self._wake = wake
        self.shown = 0  # counts progress reports, so that each follower sends a report once
        self.told = 0  # counts all that is new here, so that who follows many channels asks few of them
        self._condition = threading.Condition()
        self._last_id = last_id
        self._frames: deque[Frame] = deque(maxlen=TAIL)  # consecutive ids, the newest is _last_id
        self._progress: Frame | None = None
        self._ended = False

    def push(self, frame: Frame, *, last: bool) -> None:
        """Add an event that has its id."""
        assert frame.event_id is not None
        with self._condition:
            self._frames.append(frame)
            self._last_id = frame.event_id
            self._progress = None  # older than this event now
            self._ended = self._ended or last
            self.told += 1
            self._condition.notify_all()
        self._wake()

    def show(self, frame: Frame) -> None:
        with self._condition:
            if not self._ended:
                self._progress = frame
                self.shown += 1
                self.told += 1
                self._condition.notify_all()
        self._wake()

    def end(self) -> None:
        with self._condition:
            self._ended = True
            self.told += 1
            self._condition.notify_all()
        self._wake()

    def wait(self, cursor: int, shown: int, *, timeout: float) -> News:
        """What came after `cursor` and `shown`; nothing after `timeout` seconds of silence."""

        def has_news() -> bool:
            fresh_progress = self._progress is not None and self.shown > shown
            return self._ended or self._last_id > cursor or fresh_progress

        with self._condition:
            self._condition.wait_for(has_news, timeout)
            frames = [frame for frame in self._frames if (frame.event_id or 0) > cursor]
            complete = len(frames) == max(0, self._last_id - cursor)
            progress = self._progress if self.shown > shown and not self._ended else None
            return News(frames if complete else None, progress, self._last_id, self.shown, self._ended)
