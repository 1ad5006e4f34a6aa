"""What `nets.fit` tells whoever iterates over it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from nets.facts import Compilation, StoppedBy, TargetReached, Timing
from nets.network import Variables
from nets.training.metrics import EpochMetrics
from nets.training.samples import SamplePrediction
from nets.training.snapshot import Snapshot
from nets.training.step_losses import StepLoss

Phase = Literal["loading", "compiling", "training", "evaluating"]


@dataclass(frozen=True)
class Progress:
    """Where a run is. `fraction`: of the whole run, 0 to 1. Not history: a later one replaces it.

    loss, accuracy: over the training samples of the epoch under way, of those that it has seen; None before the first.
    """

    phase: Phase
    fraction: float
    epoch: int
    epochs_total: int
    samples_per_sec: float | None = None
    loss: float | None = None
    accuracy: float | None = None


@dataclass(frozen=True)
class EpochEnd:
    """Comes before the metrics of its epoch: whoever keeps `take()` first can tell of the epoch and never lose it.

    `take`: copies the state to the host; valid until the generator goes on, which overwrites it.
    `timing`: how long epochs and steps took, this one among them.
    """

    epoch: int
    take: Callable[[], Snapshot]
    timing: Callable[[], Timing]


@dataclass(frozen=True)
class Compiled:
    """Where the programs of the run came from that are there; again where one has come while it trained."""

    compilation: Compilation


@dataclass(frozen=True)
class Log:
    """A sentence for the reader of a run."""

    level: Literal["info", "warning"]
    message: str


@dataclass(frozen=True)
class Finished:
    """The last event of a run that went well. `variables`: params and running statistics, numpy arrays on the host.

    `best_epoch`: where the best one is kept, the epoch that the variables and the test results are from.
    `test_metrics`: those that were asked for, by name. `baseline_accuracy`: of always answering the most frequent
    class, of `validation` and `test`. `worst`: where metrics were asked for, the mistakes that it is surest of.
    `warnings`: what its reader should know of the result.
    `stopped_by`: the rule that ended training before the end of its last epoch. `target_reached`: when it was, if so.
    `compilation`, `timing`: as in `nets.facts`, for whoever compares machines.
    """

    test_accuracy: float
    test_loss: float
    sample_predictions: list[SamplePrediction]
    variables: Variables
    compile_seconds: float
    device: str
    best_epoch: int | None = None
    test_metrics: dict[str, Any] | None = None
    baseline_accuracy: dict[str, float] | None = None
    worst: list[SamplePrediction] | None = None
    warnings: tuple[str, ...] = ()
    stopped_by: StoppedBy | None = None
    target_reached: TargetReached | None = None
    compilation: Compilation | None = field(default=None, compare=False)  # how it was computed, and not what came of it
    timing: Timing | None = field(default=None, compare=False)


Event = Progress | Compiled | StepLoss | EpochEnd | EpochMetrics | Log | Finished
