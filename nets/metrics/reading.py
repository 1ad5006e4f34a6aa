"""What a network said of the samples of a whole pass, on the host, and what follows from that for many metrics."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int


class Undefined(Exception):
    """A metric has no value for these samples. The message is the reason, without a capital and a full stop."""


@dataclass(frozen=True)
class Reading:
    """The outputs of a network for some samples, and their labels.

    numbers: what the loss itself compares with the one-hot labels, where it does. All is computed in float64, so that
    means over many samples lose nothing.
    """

    outputs: Float[np.ndarray, "samples classes"]
    labels: Int[np.ndarray, " samples"]
    numbers: Float[np.ndarray, "samples classes"] | None = None

    @property
    def classes(self) -> int:
        return int(self.outputs.shape[1])

    @cached_property
    def probabilities(self) -> Float[np.ndarray, "samples classes"]:
        """The softmax of the outputs, as predictions tell it."""
        outputs = self.outputs.astype(np.float64)
        shifted = np.exp(outputs - outputs.max(-1, keepdims=True))
        probabilities: np.ndarray = shifted / shifted.sum(-1, keepdims=True)
        return probabilities

    @cached_property
    def predictions(self) -> Int[np.ndarray, " samples"]:
        """The class of the highest output; of equal ones the first."""
        predictions: np.ndarray = self.outputs.argmax(-1)
        return predictions

    @cached_property
    def hits(self) -> Bool[np.ndarray, " samples"]:
        """Which predictions are right."""
        hits: np.ndarray = self.predictions == self.labels
        return hits

    @cached_property
    def confusion(self) -> Int[np.ndarray, "classes classes"]:
        """How many samples of each class (row) were taken for each class (column)."""
        places = self.labels.astype(np.int64) * self.classes + self.predictions
        return np.bincount(places, minlength=self.classes**2).reshape(self.classes, self.classes)

    @cached_property
    def one_hot(self) -> Float[np.ndarray, "samples classes"]:
        """1 at the class of each sample, 0 elsewhere."""
        return np.eye(self.classes)[self.labels]

    @property
    def compared(self) -> Float[np.ndarray, "samples classes"]:
        """What is held against the one-hot labels: the numbers of the loss, else the probabilities."""
        return self.probabilities if self.numbers is None else self.numbers.astype(np.float64)


def baseline_accuracy(labels: Int[np.ndarray, " samples"]) -> float | None:
    """The accuracy of always answering the most frequent class of these samples; None of none."""
    return float(np.bincount(labels).max() / len(labels)) if len(labels) else None
