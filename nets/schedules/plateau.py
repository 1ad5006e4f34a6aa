"""Less wherever a metric no longer gets better."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field

from nets.schedules.base import (
    SCHEDULES,
    FinalRate,
    Inputs,
    Schedule,
    Span,
    WarmUp,
    WarmUpFrom,
    arrays,
    number,
    warm_up,
    warmed,
)
from nets.spec.fields import Real, Text, Whole
from nets.stopping.goals import AnyGoal, Goal

EpochCount = Annotated[Whole, Field(ge=0, le=100_000)]


@SCHEDULES.register
class ReduceOnPlateau(Schedule):
    """`factor` times as much from the epoch on that follows `patience` epochs, and one more, without a better `metric`.
    `torch.optim.lr_scheduler.ReduceLROnPlateau`.
    """

    type: Literal["reduce_on_plateau"] = "reduce_on_plateau"
    warmup_epochs: WarmUp = 0.0
    warmup_start_factor: WarmUpFrom = 0.0
    metric: Text = Field(
        default="val_loss",
        description="What is looked at after each epoch: `val_loss`, `val_accuracy`, `train_loss`, `train_accuracy`, "
        "or a number of the run's `metrics`, such as `f1`.",
    )
    goal: AnyGoal | None = Field(
        default=None, description="Whether less or more is better; without it as the metric has it."
    )
    factor: Annotated[Real, Field(gt=0, lt=1)] = Field(
        default=0.1, description="What the learning rate is multiplied by each time."
    )
    patience: EpochCount = Field(default=10, description="Epochs without a better metric that are waited for.")
    threshold: Annotated[Real, Field(ge=0, le=1000)] = Field(
        default=1e-4, description="How much better a metric has to be to count as better."
    )
    threshold_mode: Literal["rel", "abs"] = Field(
        default="rel", description="Whether `threshold` is a share of the best metric, or a difference."
    )
    cooldown: EpochCount = Field(default=0, description="Epochs after each change in which nothing is counted.")
    min_lr: FinalRate = Field(default=0.0, description="The least that the learning rate is brought to.")
    eps: Annotated[Real, Field(ge=0, le=1000)] = Field(
        default=1e-8, description="A change of the learning rate that is not greater is left out."
    )

    also = ("plateau", "reduce_lr_on_plateau")
    aliases = {"monitor": "metric", "mode": "goal", "patience_epochs": "patience", "cooldown_epochs": "cooldown"}
    examples = ({"type": "reduce_on_plateau", "patience": 3, "factor": 0.5},)
    has_a_curve: ClassVar[bool] = False

    def structure(self) -> Self:
        """Its type: what is looked at is decided outside of programs."""
        return type(self)()

    def inputs(self, span: Span) -> dict[str, Any]:
        """passed: steps; reduced: the share that a `Plateau` has left; and those of the warm-up."""
        return {
            "passed": float(span.passed),
            "reduced": 1.0,
            **warm_up(self.warmup_epochs, self.warmup_start_factor, span),
        }

    def scale(self, step: Any, n: Inputs) -> Any:
        xp = arrays(step)
        at = xp.maximum(number(step, xp) - n["passed"], 0.0)
        return warmed(at, n, xp) * n["reduced"]

    def marks(self, n: Inputs) -> Sequence[float]:
        return (n["passed"] + n["warmup"],)


@dataclass
class Plateau:
    """What has been seen of a run's epochs, and what is left of its learning rate.

    reduced: a share. bad, cooling: epochs. As in PyTorch, whose rule it is.
    """

    spec: ReduceOnPlateau
    lr: float
    goal: Goal
    best: float | None = None
    bad: int = 0
    cooling: int = 0
    reduced: float = 1.0

    name: ClassVar[str] = "lr_schedule"

    def see(self, values: Mapping[str, float]) -> None:
        """An epoch has ended; one without the metric is passed over."""
        value = values.get(self.spec.metric)
        if value is None:
            return
        if self.is_better(value):
            self.best, self.bad = value, 0
        else:
            self.bad += 1
        if self.cooling > 0:
            self.cooling, self.bad = self.cooling - 1, 0
        if self.bad > self.spec.patience:
            self.reduce()
            self.cooling, self.bad = self.spec.cooldown, 0

    def is_better(self, value: float) -> bool:
        """By more than the threshold."""
        best, threshold, less = self.best, self.spec.threshold, self.goal == "minimize"
        if best is None or not isfinite(best):
            return isfinite(value)
        if self.spec.threshold_mode == "abs":
            return value < best - threshold if less else value > best + threshold
        return value < best * (1 - threshold) if less else value > best * (1 + threshold)

    def reduce(self) -> None:
        """Down, but not below the least."""
        before = self.lr * self.reduced
        after = max(before * self.spec.factor, self.spec.min_lr)
        if before - after > self.spec.eps:
            self.reduced = after / self.lr

    def state(self) -> dict[str, Any]:
        """All that it remembers, as JSON."""
        seen = {"best": self.best, "bad": self.bad, "cooling": self.cooling, "reduced": self.reduced}
        return {"metric": self.spec.metric, "goal": self.goal, **seen}

    def go_on(self, state: Mapping[str, Any]) -> None:
        """Remember what another one did; of another metric how much is left alone."""
        self.reduced = state["reduced"]
        if (state["metric"], state["goal"]) == (self.spec.metric, self.goal):
            self.best, self.bad, self.cooling = state["best"], state["bad"], state["cooling"]
