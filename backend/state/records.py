"""What the store keeps: a model definition and a training run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import msgspec

RunState = Literal["queued", "running", "succeeded", "failed", "cancelled"]
ACTIVE: tuple[RunState, ...] = ("queued", "running")
TERMINAL: tuple[RunState, ...] = ("succeeded", "failed", "cancelled")
NEXT: dict[RunState, tuple[RunState, ...]] = {  # what a run may become
    "queued": ("running", "failed", "cancelled"),
    "running": ("succeeded", "failed", "cancelled"),
    "succeeded": (),
    "failed": (),
    "cancelled": (),
}

UNREADABLE = "unreadable"  # the name of an event that is no longer what was written: it has no data

Json = dict[str, Any]
Detail = Literal["metrics", "sample_predictions", "architecture"]
DETAILS: tuple[Detail, ...] = ("metrics", "sample_predictions", "architecture")  # of a run: what makes it long


@dataclass(frozen=True)
class RunRecord:
    """One training run, as told to clients. Times are ISO 8601 in UTC; fractions 0 to 1."""

    run_id: str
    model_id: str
    state: RunState
    created_at: str
    architecture: Json  # as the client sent it
    hyperparams: Json  # complete: defaults filled in
    dataset: str
    dataset_named: bool  # False: the server chose it, and may fall back to digits
    queued: bool  # asked for with "queue": true; survives a restart while it waits
    epochs_total: int
    epoch: int = 0
    started_at: str | None = None
    completed_at: str | None = None
    test_accuracy: float | None = None
    test_loss: float | None = None
    error: str | None = None
    saved_model_path: str | None = None
    weights_sha256: str | None = None
    sample_predictions: list[Json] | None = None
    warnings: list[str] = field(default_factory=list)
    device: str | None = None
    precision: str | None = None
    compile_seconds: float | None = None
    versions: Json | None = None
    resumable: bool = False  # ended before its work was done, and may go on
    resumed_from: str | None = None  # the finished run whose training this one continues
    best_epoch: int | None = None  # of the weights, where keep_best was asked for
    curve: Json | None = None  # how many metrics there are, and where the best are: see backend/state/curve.py
    metrics: list[Json] = field(default_factory=list)  # some of the run's metric events, which are never stored twice

    @property
    def metrics_total(self) -> int:
        """How many metrics there are, of which `metrics` may have some."""
        return int(self.curve["total"]) if self.curve else 0


@dataclass(frozen=True)
class ModelRecord:
    """One model definition with what its runs have reached."""

    model_id: str
    name: str
    created_at: str
    updated_at: str
    description: str | None = None
    architecture: Json | None = None
    hyperparams: Json | None = None
    trained: bool = False
    saved_model_path: str | None = None
    saved_run_id: str | None = None  # the run whose weights saved_model_path names
    last_trained_at: str | None = None
    runs_total: int = 0
    highest_accuracy: float | None = None  # best test_accuracy of its succeeded runs
    latest_run: Json | None = None  # {run_id, completed_at, test_accuracy, saved_model_path} of the last that succeeded


@dataclass(frozen=True)
class StoredEvent:
    """One event of a run's history. `id` counts up from 1 within the run."""

    id: int
    name: str  # "state" | "metric" | "log", or UNREADABLE
    text: str  # its data, as JSON

    @cached_property
    def data(self) -> Json:
        """For who does not only pass it on."""
        read: Json = msgspec.json.decode(self.text)
        return read


@dataclass(frozen=True)
class Standing:
    """How runs stand that have not ended. `places`: in the queue, 1 is next. `cancelling`: the one told to end."""

    places: Mapping[str, int]
    cancelling: str | None = None


@dataclass(frozen=True)
class Claim:
    """What the record of a run says about its files."""

    run_id: str
    state: RunState
    epoch: int
    resumable: bool
    saved_model_path: str | None
    weights_sha256: str | None
