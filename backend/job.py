"""What the training thread holds about one run, and how its end is put into words."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from backend.records import Json, RunRecord, RunState
from nets.architecture import Architecture
from nets.hyperparams import Hyperparams


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
    warnings: list[str] = field(default_factory=list)
    epoch: int = 0  # finished ones
    reason: Literal["cancelled", "interrupted"] | None = None  # why it shall stop
    settled: bool = False  # its terminal state is recorded

    @classmethod
    def of(cls, record: RunRecord, *, architecture: Architecture, hyperparams: Hyperparams) -> Job:
        return cls(
            run_id=record.run_id,
            architecture=architecture,
            hyperparams=hyperparams,
            dataset=record.dataset,
            dataset_named=record.dataset_named,
            queued=record.queued,
            warnings=list(record.warnings),
        )

    def stopped(self) -> bool:
        return self.reason is not None

    def check(self) -> None:
        """Raise `Halted` if the run shall stop."""
        if self.reason is not None:
            raise Halted(self.reason)


@dataclass(frozen=True)
class Outcome:
    """How a run ends: its terminal state and what the record gets with it."""

    state: RunState
    fields: Json = field(default_factory=dict)


def failed(error: str) -> Outcome:
    storable = error.encode("utf-8", "backslashreplace").decode()  # SQLite takes no lone surrogates
    return Outcome("failed", {"error": storable})


def interrupted(*, epoch: int, epochs_total: int, begun: bool = True) -> Outcome:
    """The end of a run that the server's own end cut off. `epoch`: finished ones."""
    now = min(epoch + 1, epochs_total)
    place = f"while this run was in epoch {now} of {epochs_total}" if begun else "before this run began"
    return failed(
        f"interrupted: the server stopped {place}. Start it again with the same architecture and hyperparams."
    )


def describe_bug(error: Exception) -> str:
    """One sentence for the client: no traceback, and of an `OSError` only the reason, since it may name a path."""
    reason = error.strerror if isinstance(error, OSError) else str(error).partition("\n")[0][:300]
    return f"internal error: {type(error).__name__}: {reason or 'no further reason given'}"
