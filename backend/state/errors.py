"""What the store refuses, and what SQLite does."""

from __future__ import annotations

import sqlite3

from backend.state.records import BenchmarkState, RunState
from backend.state.rows import Table


class UnknownRecord(LookupError):
    """No model, run or benchmark has this id."""


class UnknownCursor(LookupError):
    """No run has the cursor behind which a sorted list shall go on."""

    def __init__(self, before: int) -> None:
        super().__init__(f"no run has the cursor {before}")
        self.before = before


class UnreadableRecord(Exception):
    """The record of a model, run or benchmark is not what was written."""

    def __init__(self, table: Table, identifier: str) -> None:
        super().__init__(f"{table}: {identifier}")
        self.table, self.identifier = table, identifier


class WrongState(Exception):
    """A run, or benchmark, in `state` cannot do what was asked: its history has ended, or another thread was first."""

    def __init__(self, identifier: str, state: RunState | BenchmarkState, wanted: str, *, kind: str = "run") -> None:
        super().__init__(f"{kind} {identifier} is {state}: no {wanted} can follow")
        self.run_id, self.state = identifier, state


class StillActive(Exception):
    """A run with the model it belongs to, or a benchmark, cannot be deleted while it is queued or running."""

    def __init__(self, run_id: str) -> None:
        super().__init__(f"run {run_id} is still active")
        self.run_id = run_id


class Promoted(Exception):
    """A run cannot be deleted while its weights are those of a model."""

    def __init__(self, model_id: str) -> None:
        super().__init__(f"model {model_id} is promoted from this run")
        self.model_id = model_id


def is_malformed(error: sqlite3.DatabaseError) -> bool:
    """Whether SQLite met what it cannot read."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_CORRUPT
