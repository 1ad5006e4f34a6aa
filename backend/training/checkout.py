"""The commit that a server runs from, where it runs from a checkout: read once, beside all else."""

from __future__ import annotations

import os
import subprocess
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from functools import cache
from pathlib import Path
from threading import Thread

from backend.state.records import Git

TOP = Path(__file__).absolute().parent.parent.parent
PATIENCE = 1.0  # seconds that the first run waits for an answer
LONGEST = 10.0  # seconds that git has for one


def begin(folder: Path = TOP) -> None:
    """Look, on a thread of its own."""
    _reading(folder)


def git(folder: Path = TOP) -> Git | None:
    """The commit; None where there is no checkout, no git, or one that belongs to somebody else, which git refuses."""
    try:
        return _reading(folder).result(PATIENCE)
    except NotYet:
        return None


@cache
def _reading(folder: Path) -> Future[Git | None]:
    """Once in the life of a process: its code is that of its start, whatever is checked out later."""
    future: Future[Git | None] = Future()
    Thread(target=lambda: future.set_result(_read(folder)), name="git", daemon=True).start()
    return future


def _read(folder: Path) -> Git | None:
    try:
        (folder / ".git").lstat()
    except OSError:
        return None  # lest another one above it answer
    commit = _told(folder, "rev-parse", "--verify", "HEAD")
    changed = _told(folder, "status", "--porcelain", "--untracked-files=no")
    return None if commit is None or changed is None else {"commit": commit, "dirty": bool(changed)}


def _told(folder: Path, *command: str) -> str | None:
    # Read-only: no lock is taken, no helper that the checkout's configuration names is run.
    options = ("--no-optional-locks", "-C", str(folder), "-c", "core.fsmonitor=false")
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(
            ("git", *options, *command),
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=LONGEST,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("ascii", "replace").strip() if done.returncode == 0 else None
