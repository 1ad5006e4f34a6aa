"""Whether probabilities mean what they say."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from nets.metrics.base import METRICS, Metric
from nets.metrics.reading import Reading
from nets.spec.fields import Whole


@METRICS.register
class ExpectedCalibrationError(Metric):
    """How far the probability of the predicted class is from the share of right predictions, on average.

    Samples are sorted by that probability into `bins` of equal width, each with its upper end; the mean of the bins'
    distances is weighted by their numbers of samples. Guo et al., 2017.
    """

    type: Literal["expected_calibration_error"] = "expected_calibration_error"
    nanoseconds = 27
    bins: Annotated[Whole, Field(ge=1, le=1000)] = Field(15, description="Into how many the probabilities are sorted.")
    also = ("ece", "calibration_error")
    aliases = {"n_bins": "bins"}
    higher = False

    def of(self, reading: Reading) -> float:
        confidence = reading.probabilities.max(-1)
        place = np.searchsorted(np.linspace(0, 1, self.bins + 1)[1:-1], confidence, side="left")
        said = np.bincount(place, confidence, minlength=self.bins)
        right = np.bincount(place, reading.hits.astype(np.float64), minlength=self.bins)
        return float(np.abs(said - right).sum() / len(confidence))
