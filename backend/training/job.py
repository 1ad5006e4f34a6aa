"""What the training thread holds about one run, and how its end is put into words."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

from backend.state.deaths import OUT_OF_MEMORY
from backend.state.records import Json, RunRecord, RunState
from nets.architecture.read import Architecture
from nets.hyperparams.hyperparams import Hyperparams
from nets.process.device import device_description, versions

# Absolute paths. Not what follows a scheme or a word, and not the paths of this server's own interface.
PLACES = re.compile(r"(?<![\w/.:~-])/(?!api/)(?:[^\s/'\"`:,;()]+/)+[^\s/'\"`:,;()]*")


class Unwritable(Exception):
    """The disk did not take what a run has to write. The message is the reason, and names no path."""


class Halted(Exception):
    """The run was asked to stop."""


@dataclass
class Job:
    """A run that waits or trains. `reason` and `settled` change under the lock of `Runs` alone."""

    run_id: str
    architecture: Architecture
    hyperparams: Hyperparams
    dataset: str
    dataset_named: bool
    queued: bool
    resumed_from: str | None
    begun: bool  # before: this is not its first start
    warnings: list[str] = field(default_factory=list)
    epoch: int = 0  # finished ones
    place: int | None = None  # in the queue, as it was told last
    unlike: list[str] = field(default_factory=list)  # how what it goes on with differs from what it began with
    reason: Literal["cancelled", "interrupted"] | None = None  # why it shall stop
    settled: bool = False  # its terminal state is recorded

    @classmethod
    def of(cls, record: RunRecord, *, architecture: Architecture, hyperparams: Hyperparams) -> Job:
        return cls(
            run_id=record.run_id,
            architecture=architecture,
            hyperparams=hyperparams,
            dataset=record.dataset,
            # What has trained on a data set does not go on with another one.
            dataset_named=record.dataset_named or record.epoch > 0,
            queued=record.queued,
            resumed_from=record.resumed_from,
            begun=record.started_at is not None,
            warnings=list(record.warnings),
            epoch=record.epoch,
            unlike=unlike(record),
        )

    def stopped(self) -> bool:
        return self.reason is not None

    def standing(self) -> Json:
        """What its progress says beside how far it is."""
        return {"cancelling": True} if self.reason == "cancelled" else {}

    def check(self) -> None:
        """Raise `Halted` if the run shall stop."""
        if self.reason is not None:
            raise Halted(self.reason)


def unlike(record: RunRecord) -> list[str]:
    """Warnings where what a run has trained on so far is not what it would go on with here."""
    now = {"device": device_description(), **versions()}
    before = {"device": record.device, **(record.versions or {})}
    changed = [name for name, value in now.items() if before.get(name) not in (None, value)]
    told = ", ".join(f"{name} was {before[name]} and is {now[name]}" for name in changed)
    effect = "its weights may differ in their last digits from those of a run that was never interrupted"
    return [f"run {record.run_id} goes on under other conditions, so {effect}: {told}"] if changed else []


@dataclass(frozen=True)
class Outcome:
    """How a run ends: its terminal state and what the record gets with it."""

    state: RunState
    fields: Json = field(default_factory=dict)


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
    return Outcome("failed", {"error": error, "resumable": True})


def held_back(run_id: str, reason: str) -> Outcome:
    """The end of a run that needs more than a limit allows now, and keeps what it has reached."""
    cure = f"When there is room for it, resume it with POST /api/runs/{run_id}/resume."
    return Outcome("failed", {"error": f"{reason}. {cure}", "resumable": True})


def unwritable(run_id: str, reason: str) -> Outcome:
    """The end of a run whose state or weights the disk did not take; the state before them is still there."""
    cure = f"Make room or let the state directory be written, then resume it with POST /api/runs/{run_id}/resume."
    return Outcome(
        "failed", {"error": f"interrupted: what it has learned cannot be written ({reason}). {cure}", "resumable": True}
    )


def describe_bug(error: Exception) -> str:
    """One sentence for the client: no traceback, and of an `OSError` only the reason, since it may name a path."""
    reason = error.strerror if isinstance(error, OSError) else str(error).partition("\n")[0][:300]
    return f"internal error: {type(error).__name__}: {reason or 'no further reason given'}"
