"""Time that passes only when a test says so, in place of the module `time` where one looks at the clock."""

from __future__ import annotations

import time


class MovedClock:
    """Seconds, as of any moment. A sleep takes no time of the test's, and all of its own."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def monotonic(self) -> float:
        return self.now

    perf_counter = monotonic

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class AheadClock(MovedClock):
    """The real one, ahead of itself by what a test adds to `now`."""

    def __init__(self) -> None:
        super().__init__(now=0.0)

    def monotonic(self) -> float:
        return time.perf_counter() + self.now

    perf_counter = monotonic
