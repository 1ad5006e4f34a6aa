"""Bytes on the disk: of runs and models, read when they are asked for, and of the whole state, summed now and then."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from backend.state.files import DESCRIPTION, TRAINING, WEIGHTS

FRESH_SECONDS = 60.0  # that a sum over the whole state holds
SHARE = 50  # and as many times as long as it took
NAMES = (WEIGHTS, TRAINING, DESCRIPTION)


class Sizes:
    """Of what runs have in a state directory. Nothing is remembered: files go and come by other hands, too."""

    def __init__(self, root: Path) -> None:
        self._root = str(root)

    def of_run(self, run_id: str) -> int:
        """Bytes of a run's weights, training state and description; 0 for one without files."""
        total = 0
        for name in NAMES:
            try:
                total += os.stat(f"{self._root}/{run_id}/{name}", follow_symlinks=False).st_size
            except OSError:
                if name == NAMES[0] and not os.path.isdir(f"{self._root}/{run_id}"):
                    return 0
        return total

    def of_runs(self, run_ids: Iterable[str]) -> int:
        return sum(map(self.of_run, run_ids))


class StateSize:
    """Bytes of everything in a state directory, summed on a thread of its own: who asks never waits for the disk."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()
        self._known: int | None = None
        self._stale_at = 0.0
        self._summing = False

    def known(self) -> int | None:
        """What was summed last, at most about a minute ago where the disk answers; None before the first time."""
        with self._lock:
            if not self._summing and time.monotonic() >= self._stale_at:
                self._summing = True
                threading.Thread(target=self._sum, name="state-size", daemon=True).start()
            return self._known

    def _sum(self) -> None:
        began = time.monotonic()
        total = 0
        linked: set[int] = set()  # while a state is exported, its files have a second name
        for folder, _, files in os.walk(self._root):
            for name in files:
                with suppress(OSError):  # it has just gone
                    status = os.lstat(os.path.join(folder, name))
                    if status.st_nlink == 1 or status.st_ino not in linked:
                        total += status.st_size
                    if status.st_nlink > 1:
                        linked.add(status.st_ino)
        took = time.monotonic() - began
        with self._lock:
            self._known, self._summing = total, False
            self._stale_at = time.monotonic() + max(FRESH_SECONDS, SHARE * took)
