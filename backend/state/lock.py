"""One server per state directory: two would each take the other's runs for interrupted ones."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from backend.state.directory import require_directory

NAME = "lamina.lock"
NO_LOCKS = {errno.EBADF, errno.EINVAL, errno.ENOLCK, errno.ENOTSUP}  # of a file system that locks no directories


class StateInUse(Exception):
    """Another server owns the state directory."""


class StateLock:
    """A state directory that is ours until `close`; the kernel ends that, too, however the process ends.

    The directory itself is locked, which no hand removes while it is in use, and a file in it, for file systems (NFS)
    where only that can be.
    """

    def __init__(self, state_dir: Path) -> None:
        """BlockingIOError where another has it."""
        self._path = state_dir
        self._held = [os.open(state_dir, os.O_RDONLY | os.O_DIRECTORY)]
        try:
            try:
                fcntl.flock(self._held[0], fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno not in NO_LOCKS:
                    raise
            self._held.append(os.open(state_dir / NAME, os.O_RDWR | os.O_CREAT, 0o666))
            fcntl.flock(self._held[1], fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BaseException:
            self.close()
            raise

    def in_place(self) -> bool:
        """Whether the directory of this name is still the one that is locked."""
        with suppress(OSError, IndexError):
            return os.path.samestat(os.fstat(self._held[0]), self._path.stat())
        return False

    def close(self) -> None:
        while self._held:
            os.close(self._held.pop())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def own(state_dir: Path, *, patience: float) -> StateLock:
    """Lock the state directory, which is made where it is missing.

    `patience`: seconds to wait for a predecessor that is just leaving; then `StateInUse`. Raises NoDirectory, OSError.
    """
    require_directory(state_dir)
    state_dir.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + patience
    while True:
        try:
            return StateLock(state_dir)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise StateInUse(
                    f"another Lamina server uses the state directory {state_dir}: stop it, or choose another directory"
                ) from None
            time.sleep(0.05)
