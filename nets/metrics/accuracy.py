"""How often the prediction is right."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from nets.metrics.base import METRICS, Metric
from nets.metrics.reading import Reading
from nets.spec.fields import Whole


@METRICS.register
class Accuracy(Metric):
    """The share of samples whose highest output is that of their class."""

    type: Literal["accuracy"] = "accuracy"
    also = ("acc", "categorical_accuracy", "sparse_categorical_accuracy")

    def of(self, reading: Reading) -> float:
        return float(reading.hits.mean())


@METRICS.register
class TopK(Metric):
    """The share of samples whose class is among the `k` highest outputs; of equal outputs the first counts as higher.

    Its value is named after k: `top_5`, by which name it may be asked for, too.
    """

    type: Literal["top_k"] = "top_k"
    k: Annotated[Whole, Field(ge=1, le=10_000)] = Field(5, description="At most the number of classes.")
    also = ("top_k_accuracy", "top_k_categorical_accuracy", "sparse_top_k_categorical_accuracy")

    @property
    def key(self) -> str:
        return f"top_{self.k}"

    def of(self, reading: Reading) -> float:
        rows = np.arange(len(reading.labels))
        own = reading.outputs[rows, reading.labels][:, None]
        before = np.arange(reading.classes) < reading.labels[:, None]
        ahead = (reading.outputs > own) | ((reading.outputs == own) & before)
        return float((ahead.sum(-1) < self.k).mean())


@METRICS.register
class BalancedAccuracy(Metric):
    """The mean over the classes of the share of their samples that are predicted right, over classes with samples.

    scikit-learn's `balanced_accuracy_score`.
    """

    type: Literal["balanced_accuracy"] = "balanced_accuracy"
    also = ("balanced_accuracy_score",)

    def of(self, reading: Reading) -> float:
        samples = reading.confusion.sum(1)
        there = samples > 0
        return float((reading.confusion.diagonal()[there] / samples[there]).mean())
