"""A bounded number of places, of which one is taken or refused at once."""

from __future__ import annotations

import threading

DOWNLOADS = 64  # at a time


class Places:
    """Safe from any thread."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.taken = 0
        self._lock = threading.Lock()

    def take(self) -> bool:
        """Whether there was one."""
        with self._lock:
            if self.taken >= self.most:
                return False
            self.taken += 1
            return True

    def give_back(self) -> None:
        with self._lock:
            self.taken -= 1
