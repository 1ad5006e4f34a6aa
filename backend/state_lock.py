"""One server per state directory: two would each take the other's runs for interrupted ones."""

from __future__ import annotations

import fcntl
import time
from pathlib import Path
from typing import IO

NAME = "lamina.lock"


class StateInUse(Exception):
    """Another server owns the state directory."""


def own(state_dir: Path, *, patience: float) -> IO[str]:
    """Lock the state directory until the returned file is closed; the kernel does so however the process ends.

    `patience`: seconds to wait for a predecessor that is just leaving; then `StateInUse`.
    """
    state_dir.mkdir(parents=True, exist_ok=True)
    file = (state_dir / NAME).open("a")
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return file
        except BlockingIOError:
            if time.monotonic() >= deadline:
                file.close()
                raise StateInUse(
                    f"another Lamina server uses the state directory {state_dir}: stop it, or choose another one"
                ) from None
            time.sleep(0.05)
