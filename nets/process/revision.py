"""The commit that this package is imported from, where that is a checkout."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from typing_extensions import TypedDict

TOP = Path(__file__).absolute().parent.parent.parent
LONGEST = 10.0  # seconds that git has for an answer


class Commit(TypedDict):
    """What is checked out. dirty: whether a file of it was changed since."""

    commit: str
    dirty: bool


def revision(folder: Path = TOP) -> str | None:
    """The commit, `-dirty` behind it where files were changed since; None as in `read`."""
    found = read(folder)
    return None if found is None else found["commit"] + "-dirty" * found["dirty"]


def read(folder: Path = TOP) -> Commit | None:
    """The commit; None where there is no checkout, no git, or one that belongs to somebody else, which git refuses."""
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
