"""Mistakes as samples, beside numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from nets.metrics.base import METRICS, Metric, Parts
from nets.spec.fields import Whole

USUAL, MOST = 8, 64


@METRICS.register
class Worst(Metric):
    """The mistakes of the test that the network is surest of, as sample predictions, the surest first.

    No value of epochs: `worst` of the record, of the last `state` event and of evaluations. With other metrics, too.
    """

    type: Literal["worst"] = "worst"
    nanoseconds = 25
    also = ("worst_predictions", "worst_mistakes")
    many = True

    samples: Annotated[Whole, Field(ge=1, le=MOST)] = Field(USUAL, description="How many, at most.")

    def parts(self) -> Parts:
        return {}


def mistakes_shown(metrics: Sequence[Metric]) -> int:
    """How many mistakes are told beside these metrics."""
    return next((metric.samples for metric in metrics if isinstance(metric, Worst)), USUAL)
