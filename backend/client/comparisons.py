"""Runs side by side, as the server answers."""

from __future__ import annotations

from typing import Any

import msgspec

from backend.client.answers import SHORT, Answer, Best, Json, Part


class Reached(Part, kw_only=True):
    """A value of a metric, and the epoch of it."""

    value: float
    epoch: int | None = None


class ComparedRun(Part, kw_only=True):
    """One of the runs that are compared. Times in seconds."""

    run_id: str
    name: str = ""
    model_id: str = ""
    state: str = ""
    dataset_type: str = ""
    device: str | None = None
    precision: str | None = None
    parameters: int | None = None
    epoch: int = 0
    epochs_total: int = 0
    seconds: float | None = None
    compile_seconds: float | None = None
    samples_per_second: float | None = None
    compilation: str | None = None
    median_epoch_seconds: float | None = None
    median_step_seconds: float | None = None
    peak_memory_bytes: int | None = None
    stopped_by: str | None = None
    seconds_to_target: float | None = None
    test_accuracy: float | None = None
    test_loss: float | None = None
    test_metrics: Json | None = None
    baseline_accuracy: dict[str, float] | None = None
    best: Best | None = None

    @property
    def short(self) -> str:
        """The beginning of its id, as commands show it."""
        return self.run_id[:SHORT]


class Differences(Part, kw_only=True):
    """`differ`: by dotted name one value for each run; `equal`: how many are the same."""

    differ: dict[str, list[Any]] = {}
    equal: int = 0


class LayerDifference(Part, kw_only=True):
    """A layer in which runs differ. `places`: its index in each network, None where there is no such layer."""

    type: str
    places: list[int | None] = []
    differ: dict[str, list[Any]] = {}


class LayerDifferences(Part, kw_only=True):
    """`equal`: how many layers are the same in all runs."""

    differ: list[LayerDifference] = []
    equal: int = 0


class Comparison(Answer, kw_only=True):
    """Runs side by side: each list has one item for each of `runs`, in their order.

    `best`, `last`: by metric; `metrics`: by metric, then by epoch.
    """

    runs: list[ComparedRun]
    hyperparams: Differences = msgspec.field(default_factory=Differences)
    computed: Differences = msgspec.field(default_factory=Differences)
    input: Differences = msgspec.field(default_factory=Differences)
    layers: LayerDifferences = msgspec.field(default_factory=LayerDifferences)
    best: dict[str, list[Reached | None]] = {}
    last: dict[str, list[Reached | None]] = {}
    metrics: dict[str, dict[int, list[float | None]]] = {}
