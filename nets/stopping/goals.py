"""Which value of a metric is better."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BeforeValidator

Goal = Literal["minimize", "maximize"]
SHORT = {"min": "minimize", "max": "maximize"}
AnyGoal = Annotated[Goal, BeforeValidator(lambda value: SHORT.get(value, value) if isinstance(value, str) else value)]
GOALS: Mapping[str, Goal] = {  # of the metrics that every run has
    "val_loss": "minimize",
    "val_accuracy": "maximize",
    "train_loss": "minimize",
    "train_accuracy": "maximize",
}


def better(goal: Goal, value: float, best: float | None, *, by: float = 0.0) -> bool:
    """Whether a value is better than the best so far, by more than `by`; None: there is none yet."""
    if not math.isfinite(value):
        return False
    if best is None:
        return True
    return value < best - by if goal == "minimize" else value > best + by


def reaches(goal: Goal, value: float, target: float) -> bool:
    """Whether a value is as good as a target."""
    return value <= target if goal == "minimize" else value >= target
