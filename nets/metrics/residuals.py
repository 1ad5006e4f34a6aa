"""How far the outputs are from the one-hot labels: 1 at the class of a sample, 0 elsewhere.

Of losses on numbers, such as mse, these are distances of the outputs themselves, and with bce of their sigmoids; else
of the probabilities.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from nets.metrics.base import METRICS, Metric
from nets.metrics.reading import Reading, Undefined


def mean_square(reading: Reading) -> np.floating[Any]:
    """Of the differences of outputs and one-hot labels."""
    found: np.floating[Any] = np.square(reading.compared - reading.one_hot).mean()
    return found


@METRICS.register
class Mse(Metric):
    """The mean squared difference of probabilities, or outputs of a loss on numbers, and one-hot labels."""

    type: Literal["mse"] = "mse"
    nanoseconds = 24
    also = ("mean_squared_error",)
    higher = False

    def of(self, reading: Reading) -> float:
        return float(mean_square(reading))


@METRICS.register
class Mae(Metric):
    """The mean absolute difference of probabilities, or outputs of a loss on numbers, and one-hot labels."""

    type: Literal["mae"] = "mae"
    nanoseconds = 24
    also = ("mean_absolute_error",)
    higher = False

    def of(self, reading: Reading) -> float:
        return float(np.abs(reading.compared - reading.one_hot).mean())


@METRICS.register
class Rmse(Metric):
    """The square root of `mse`."""

    type: Literal["rmse"] = "rmse"
    nanoseconds = 24
    also = ("root_mean_squared_error",)
    higher = False

    def of(self, reading: Reading) -> float:
        return float(np.sqrt(mean_square(reading)))


@METRICS.register
class R2(Metric):
    """The share of the variance of one-hot labels that probabilities, or outputs of a loss on numbers, explain.

    The mean over the classes, as scikit-learn's `r2_score` has it; over those that have some samples and not all.
    """

    type: Literal["r2"] = "r2"
    nanoseconds = 33
    also = ("r2_score",)

    def of(self, reading: Reading) -> float:
        wanted = reading.one_hot
        spread = np.square(wanted - wanted.mean(0)).sum(0)
        left = np.square(reading.compared - wanted).sum(0)
        vary = spread > 0
        if not vary.any():
            raise Undefined("all samples are of one class, so that nothing varies that could be explained")
        return float((1 - left[vary] / spread[vary]).mean())
