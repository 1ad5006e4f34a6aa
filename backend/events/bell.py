"""Whoever waits for any of many channels."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Bell:
    """Rung whenever there is something new for anyone. Safe from any thread."""

    def __init__(self, also: Callable[[], None]) -> None:
        """`also`: called at every ring, for one who serves many without waiting for each."""
        self._also = also
        self._condition = threading.Condition()
        self.rung = 0  # times

    def ring(self) -> None:
        with self._condition:
            self.rung += 1
            self._condition.notify_all()
        self._also()

    def wait(self, rung: int, timeout: float) -> None:
        """Until it is rung once more than `rung` times, for `timeout` seconds at most."""
        with self._condition:
            self._condition.wait_for(lambda: self.rung > rung, timeout)
