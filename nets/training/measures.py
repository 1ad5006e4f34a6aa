"""The metrics of a run: of which pass they are told, and what is said where one has no value."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nets.hyperparams.hyperparams import Hyperparams
from nets.metrics import Measured, Reading, baseline_accuracy, measured
from nets.training.events import Log

MOST_NUMBERS = 1_000_000  # in the lists and tables of a run's epochs, which are kept with their events


@dataclass
class Measures:
    """What is computed of validations and the test. every: of which epochs lists and tables are told, and of the last.

    reasons: those that were told: each is told once.
    """

    hyperparams: Hyperparams
    classes: int
    reasons: set[tuple[str, str]] = field(default_factory=set)

    def __bool__(self) -> bool:
        """Whether there is anything to compute."""
        return bool(self.hyperparams.metrics)

    @property
    def every(self) -> int:
        numbers = sum(metric.size(self.classes) for metric in self.hyperparams.metrics)
        return max(1, -(-self.hyperparams.epochs * numbers // MOST_NUMBERS))

    def begin(self) -> list[Log]:
        """What a reader has to know before the first epoch."""
        if self.every == 1:
            return []
        long = ", ".join(metric.type for metric in self.hyperparams.metrics if metric.size(self.classes))
        rule = f"so that no more than {MOST_NUMBERS:,} numbers are kept, {long} are told of one epoch in {self.every}"
        return [Log("warning", f"{rule}, and of the last one")]

    def of_epoch(self, logits: np.ndarray, labels: np.ndarray, *, epoch: int) -> tuple[dict[str, Any], list[Log]]:
        """Of the validation after an epoch."""
        whole = epoch % self.every == 0 or epoch == self.hyperparams.epochs
        return self.told(measured(self.hyperparams.metrics, Reading(logits, labels), whole=whole), "validation")

    def of_test(self, logits: np.ndarray, labels: np.ndarray) -> tuple[dict[str, Any], list[Log]]:
        """Of the test."""
        return self.told(measured(self.hyperparams.metrics, Reading(logits, labels)), "test")

    def told(self, found: Measured, where: str) -> tuple[dict[str, Any], list[Log]]:
        """Values, and what was not said yet of those that are missing."""
        new = [(name, reason) for name, reason in found.reasons.items() if (name, reason) not in self.reasons]
        self.reasons.update(new)
        return found.values, [Log("warning", f"{name} of the {where} is null: {reason}") for name, reason in new]


def baselines(**labels: np.ndarray) -> dict[str, float]:
    """The accuracy of always answering the most frequent class, of some samples by name."""
    found = {name: baseline_accuracy(each) for name, each in labels.items()}
    return {name: value for name, value in found.items() if value is not None}


def no_better(accuracy: float, baseline: float | None) -> tuple[str, ...]:
    """A warning where a network has learned nothing that the labels alone would not tell."""
    if baseline is None or accuracy > baseline:
        return ()
    rule = f"the test accuracy of {accuracy:.4g} is no better than the {baseline:.4g} of always answering"
    return (f"{rule} the most frequent class; train longer, or try another learning rate",)
