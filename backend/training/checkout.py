"""The commit that a server runs from, where it runs from a checkout: read once, beside all else."""

from __future__ import annotations

from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from functools import cache
from pathlib import Path
from threading import Thread

from backend.state.records import Git
from nets.process import revision

PATIENCE = 1.0  # seconds that the first run waits for an answer


def begin(folder: Path = revision.TOP) -> None:
    """Look, on a thread of its own."""
    _reading(folder)


def git(folder: Path = revision.TOP) -> Git | None:
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
    return revision.read(folder)
