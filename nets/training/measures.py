"""The metrics of a run: of which pass they are told, and what is said where one has no value."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import jax.numpy as jnp
import numpy as np
from scipy.special import expit

from nets.architecture.graph import Graph
from nets.datasets import Dataset
from nets.hyperparams.hyperparams import Hyperparams
from nets.losses import Loss
from nets.metrics import Measured, Reading, baseline_accuracy, measured, mistakes_shown
from nets.training.events import Log
from nets.training.samples import SamplePrediction, worst

MOST_NUMBERS = 1_000_000  # in the lists and tables of a run's epochs, which are kept with their events


def reading_of(logits: np.ndarray, labels: np.ndarray, *, loss: Loss, graph: Graph) -> Reading:
    """What a network trained with a loss says of samples by its logits.

    With losses on numbers, such as mse, these are what the last layer gives; with bce, the sigmoids of the logits.
    """
    if not loss.one_hot or loss.wants:
        return Reading(logits, labels)
    read = graph.last.layer.read(jnp.asarray(logits)) if loss.takes == "output" else expit(logits)
    return Reading(logits, labels, np.asarray(read))


@dataclass
class Measures:
    """What is computed of validations and the test. every: of which epochs lists and tables are told, and of the last.

    reasons: those that were told: each is told once.
    """

    hyperparams: Hyperparams
    graph: Graph
    reasons: set[tuple[str, str]] = field(default_factory=set)

    def __bool__(self) -> bool:
        """Whether there is anything to compute."""
        return bool(self.hyperparams.metrics)

    @property
    def every(self) -> int:
        numbers = sum(metric.size(self.graph.classes) for metric in self.hyperparams.metrics)
        return max(1, -(-self.hyperparams.epochs * numbers // MOST_NUMBERS))

    def begin(self) -> list[Log]:
        """What a reader has to know before the first epoch."""
        if self.every == 1:
            return []
        long = ", ".join(metric.type for metric in self.hyperparams.metrics if metric.size(1))
        rule = f"so that no more than {MOST_NUMBERS:,} numbers are kept, {long} are told of one epoch in {self.every}"
        return [Log("warning", f"{rule}, and of the last one")]

    def of_epoch(self, logits: np.ndarray, labels: np.ndarray, *, epoch: int) -> tuple[dict[str, Any], list[Log]]:
        """Of the validation after an epoch."""
        whole = epoch % self.every == 0 or epoch == self.hyperparams.epochs
        return self.told(self.measured(self.reading(logits, labels), whole=whole), "validation")

    def of_test(self, reading: Reading) -> tuple[dict[str, Any], list[Log]]:
        """Of the test."""
        return self.told(self.measured(reading), "test")

    def reading(self, logits: np.ndarray, labels: np.ndarray) -> Reading:
        """Of samples, by the loss of the run."""
        return reading_of(logits, labels, loss=self.hyperparams.loss, graph=self.graph)

    def measured(self, reading: Reading, *, whole: bool = True) -> Measured:
        return measured(self.hyperparams.metrics, reading, whole=whole)

    def worst(self, dataset: Dataset, reading: Reading) -> list[SamplePrediction]:
        """The mistakes of the test that the network is surest of."""
        return worst(dataset, dataset.test_inputs, reading, mistakes_shown(self.hyperparams.metrics))

    def remarks(self, accuracy: float, baseline: float | None) -> tuple[str, ...]:
        """What a reader should know of the accuracy of the test."""
        return no_better(accuracy, baseline)

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
