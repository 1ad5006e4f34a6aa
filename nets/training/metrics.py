"""What is measured of an epoch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, Any

from nets.facts import About
from nets.metrics.names import values_of as named


@dataclass(frozen=True)
class EpochMetrics:
    """One finished epoch. Losses in nats, accuracies and progress as fractions, seconds without compilation.

    learning_rate: of the epoch's last step.
    """

    epoch: int
    train_loss: float
    val_loss: float
    train_accuracy: float
    val_accuracy: float
    learning_rate: float
    epoch_time: float
    samples_per_sec: float
    progress: float
    eta_seconds: float
    metrics: Annotated[
        dict[str, Any] | None,
        About("Of the validation, by name: those that `hyperparams.metrics` asks for; null where one has no value."),
    ] = None


def values_of(metrics: EpochMetrics) -> dict[str, float]:
    """What was measured of an epoch by name; the metrics that were asked for are `val_f1` and so on."""
    told = {name: value for name, value in asdict(metrics).items() if isinstance(value, float)}
    return {**named(metrics.metrics, "val_"), **told}
