"""How a run or a benchmark ends, and its end in words."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from backend.state.deaths import OUT_OF_MEMORY
from backend.state.records import BenchmarkState, Json

# Absolute paths. Not what follows a scheme or a word, and not the paths of this server's own interface.
PLACES = re.compile(r"(?<![\w/.:~-])/(?!api/)(?:[^\s/'\"`:,;()]+/)+[^\s/'\"`:,;()]*")


@dataclass(frozen=True)
class Outcome:
    """How a run, or a benchmark, ends: its terminal state and what the record gets with it.

    facts: how it was computed, which stays true if a client's cancel turns out to have come before its end.
    """

    state: BenchmarkState
    fields: Json = field(default_factory=dict)
    facts: Json = field(default_factory=dict)


def failed(error: str) -> Outcome:
    """The end of a run that went wrong."""
    storable = error.encode("utf-8", "backslashreplace").decode()  # SQLite takes no lone surrogates
    return Outcome("failed", {"error": without_paths(storable)})


def without_paths(text: str) -> str:
    """A sentence in which files keep their names and lose their places: clients learn nothing of the file system."""
    return PLACES.sub(lambda found: found[0].rstrip("/").rpartition("/")[2], text)


def cancelled() -> Outcome:
    """The end of a run that a client stopped. It may go on."""
    return Outcome("cancelled", {"resumable": True})


def interrupted(run_id: str, *, epoch: int, epochs_total: int, begun: bool = True, cause: str | None = None) -> Outcome:
    """The end of a run that the server's own end cut off, and that may go on.

    `epoch`: finished ones. `cause`: of that end, where it is known.
    """
    now = min(epoch + 1, epochs_total)
    place = f"while this run was in epoch {now} of {epochs_total}" if begun else "before this run began"
    cure = f"Resume it with POST /api/runs/{run_id}/resume."
    if cause and cause.startswith(OUT_OF_MEMORY):
        cure = f"Train a smaller network or smaller batches; or give the server more memory, then r{cure[1:]}"
    error = f"interrupted: {cause or 'the server stopped'} {place}. {cure}"
    return Outcome("failed", {"error": error, "resumable": True, "cut_off": "training" if begun else "waiting"})


def held_back(run_id: str, reason: str) -> Outcome:
    """The end of a run that needs more than a limit allows now, and keeps what it has reached."""
    cure = f"When there is room for it, resume it with POST /api/runs/{run_id}/resume."
    return Outcome("failed", {"error": f"{reason}. {cure}", "resumable": True})


def unwritable(run_id: str, reason: str) -> Outcome:
    """The end of a run whose state or weights the disk did not take; the state before them is still there."""
    cure = f"Free some space or make the state directory writable, then resume it with POST /api/runs/{run_id}/resume."
    return Outcome(
        "failed", {"error": f"interrupted: its training state cannot be written ({reason}). {cure}", "resumable": True}
    )


def describe_bug(error: Exception) -> str:
    """One sentence for the client: no traceback, and of an `OSError` only the reason, since it may name a path."""
    reason = error.strerror if isinstance(error, OSError) else str(error).partition("\n")[0][:300]
    return f"internal error: {type(error).__name__}: {reason or 'no further reason given'}"
