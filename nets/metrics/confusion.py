"""Which classes are taken for which."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from jaxtyping import Float
from pydantic import Field

from nets.metrics.base import METRICS, Metric, Parts
from nets.metrics.reading import Reading

Average = Literal["macro", "weighted", "micro"]
Shares = Float[np.ndarray, " classes"]
HOW = (
    "`macro`: the mean over the classes; `weighted`: the same by their numbers of samples; "
    "`micro`: of all samples at once, which is the accuracy."
)


class ByClass(Metric):
    """Base of what each class has a value of, as scikit-learn defines it.

    The mean is over the classes that are among the labels or the predictions. A share of nothing is 0: the precision
    of a class that is never predicted, the recall of one without samples.
    """

    average: Annotated[Average, Field(description=HOW)] = "macro"

    @property
    def key(self) -> str:
        return self.type if self.average == "macro" else f"{self.type}_{self.average}"

    def parts(self) -> Parts:
        return {self.key: self.of, f"{self.type}_per_class": self.per_class}

    def size(self, classes: int) -> int:
        return classes

    def of(self, reading: Reading) -> float:
        hits, predicted, samples = counts(reading)
        if self.average == "micro":
            return float(hits.sum() / samples.sum())
        each, there = self.each(hits, predicted, samples), predicted + samples > 0
        weights = samples[there] if self.average == "weighted" else None
        return float(np.average(each[there], weights=weights))

    def per_class(self, reading: Reading) -> list[float | None]:
        """The value of each class, None of one that is neither among the labels nor among the predictions."""
        hits, predicted, samples = counts(reading)
        each, there = self.each(hits, predicted, samples), predicted + samples > 0
        return [float(value) if known else None for value, known in zip(each, there, strict=True)]

    def each(self, hits: Shares, predicted: Shares, samples: Shares) -> Shares:
        raise AssertionError(f"{type(self).__name__} has no value of a class")


def counts(reading: Reading) -> tuple[Shares, Shares, Shares]:
    """Of each class: how many samples were predicted right, were predicted, and are there."""
    confusion = reading.confusion.astype(np.float64)
    return confusion.diagonal(), confusion.sum(0), confusion.sum(1)


def share(part: Shares, whole: Shares) -> Shares:
    """0 of nothing."""
    return np.divide(part, whole, out=np.zeros_like(whole), where=whole > 0)


@METRICS.register
class Precision(ByClass):
    """The share of right ones among the samples that are predicted to be of a class."""

    type: Literal["precision"] = "precision"
    also = ("precision_score",)

    def each(self, hits: Shares, predicted: Shares, samples: Shares) -> Shares:
        return share(hits, predicted)


@METRICS.register
class Recall(ByClass):
    """The share of the samples of a class that are predicted to be of it."""

    type: Literal["recall"] = "recall"
    also = ("recall_score", "sensitivity")

    def each(self, hits: Shares, predicted: Shares, samples: Shares) -> Shares:
        return share(hits, samples)


@METRICS.register
class F1(ByClass):
    """The harmonic mean of precision and recall."""

    type: Literal["f1"] = "f1"
    also = ("f1_score",)

    def each(self, hits: Shares, predicted: Shares, samples: Shares) -> Shares:
        return share(2 * hits, predicted + samples)


@METRICS.register
class ConfusionMatrix(Metric):
    """How many samples of each class (a row each) are predicted to be of each class (a column each)."""

    type: Literal["confusion_matrix"] = "confusion_matrix"
    also = ("confusion",)
    many = True

    def of(self, reading: Reading) -> list[list[int]]:
        rows: list[list[int]] = reading.confusion.tolist()
        return rows

    def size(self, classes: int) -> int:
        return classes**2
