"""Room that is kept on the disk, so that things can be deleted when it is full."""

from __future__ import annotations

import logging
import os
import shutil
from contextlib import suppress
from pathlib import Path

from backend.state.files import no_link

logger = logging.getLogger("lamina.store")

NAME = "reserve"
SIZE = 4 << 20  # bytes: what the log of a large deletion takes
PIECE = 1 << 18


class Reserve:
    """A file of no meaning in a folder; given back when a deletion needs its room."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME

    def keep(self) -> None:
        """Have it, where there is much more room than it takes."""
        with suppress(OSError):
            if self._size() < SIZE and shutil.disk_usage(self._path.parent).free > 2 * SIZE:
                self._fill()

    def give_back(self) -> bool:
        """Make its room free; False where there was none."""
        try:
            self._path.unlink()
        except OSError:
            return False
        logger.warning("the disk is full: the room kept for deletions is used")
        return True

    def take_again(self) -> None:
        """Have as much of it as there is room for: on a full disk deletions go before everything else."""
        with suppress(OSError):
            self._fill()

    def _size(self) -> int:
        return self._path.stat().st_size if self._path.exists() else 0

    def _fill(self) -> None:
        with open(self._path, "ab", buffering=0, opener=no_link) as file:
            while file.tell() < SIZE:
                file.write(os.urandom(PIECE))  # zeros take no room where files are compressed
