"""Telling a caller how far a preparation is, without drowning it."""

from __future__ import annotations

import time
from collections.abc import Callable

Callback = Callable[[float | None, str], None]

INTERVAL = 0.1  # seconds between two reports


class Report:
    """Passes (fraction 0 to 1 or None, sentence) on to `callback`, at most ten times a second; the first one always."""

    def __init__(self, callback: Callback | None) -> None:
        self._callback = callback
        self._last = float("-inf")

    def __call__(self, fraction: float | None, message: str, *, always: bool = False) -> None:
        now = time.monotonic()
        if self._callback is not None and (always or now - self._last >= INTERVAL):
            self._last = now
            self._callback(fraction, message)

    def part(self, start: float, stop: float) -> Report:
        """A report whose 0 to 1 is `start` to `stop` of this one."""
        return Report(
            lambda fraction, message: self(None if fraction is None else start + fraction * (stop - start), message)
        )
