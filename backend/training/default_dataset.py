"""The data set of a run whose request names none."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from nets import datasets

PREFERRED, BUNDLED = "mnist", "digits"
PROBE_SECONDS = 30.0  # how long it is believed that a data set can, or cannot, be had


class DefaultDataset:
    """The data set of a request that names none: mnist where it can be had, else the bundled digits."""

    def __init__(
        self, data_dir: Path, *, available: Callable[[str, Path], tuple[bool, str]] = datasets.available
    ) -> None:
        self.data_dir = data_dir
        self._available = available
        self._answer: tuple[str, str | None] | None = None
        self._until = 0.0

    def choose(self) -> tuple[str, str | None]:
        """(name, warning or None). May ask the network for up to 3.5 s, seldom; two requests may ask at once."""
        if self._answer is None or time.monotonic() > self._until:
            had, reason = self._available(PREFERRED, self.data_dir)
            self._answer = (PREFERRED, None) if had else (BUNDLED, _fallback(reason))
            self._until = time.monotonic() + PROBE_SECONDS
        return self._answer


def _fallback(reason: str) -> str:
    choice = f"no dataset_type was given and {PREFERRED} cannot be had, so this run trains on the bundled {BUNDLED}"
    return f"{choice}: {reason}"
