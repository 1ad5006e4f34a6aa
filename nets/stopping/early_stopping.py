"""The end of a run that no longer gets better."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field

from nets.spec.fields import Boolean, Real, Spec, Text, Whole
from nets.stopping.ending import Json, Values
from nets.stopping.goals import AnyGoal, Goal, better


class EarlyStopping(Spec):
    """The run ends after the epoch with which a metric has not been better for `patience` epochs in a row. Keras's
    `EarlyStopping`.
    """

    metric: Text = Field(
        default="val_loss",
        description="What is looked at after each epoch: `val_loss`, `val_accuracy`, `train_loss`, `train_accuracy`, "
        "or a number of the run's `metrics`, such as `f1`.",
    )
    goal: AnyGoal | None = Field(
        default=None, description="Whether less or more is better; without it as the metric has it."
    )
    patience: Annotated[Whole, Field(ge=1, le=100_000)] = Field(
        default=5, description="Epochs in a row without a better value that end the run."
    )
    min_delta: Annotated[Real, Field(ge=0, le=1e9)] = Field(
        default=0.0,
        description="How much better a value has to be to count as better; the best so far is as it was then.",
    )
    restore_best: Boolean = Field(
        default=True,
        description="Whether the epoch with the best value of the metric is tested, saved and used instead of the last "
        "one, also where training runs to the last epoch.",
    )

    aliases: ClassVar[Mapping[str, str]] = {
        "monitor": "metric",
        "mode": "goal",
        "restore_best_weights": "restore_best",
        "patience_epochs": "patience",
    }


@dataclass
class Patience:
    """What has been seen of a run's epochs. bad: epochs since `best_epoch`, that of the last value that was better."""

    spec: EarlyStopping
    goal: Goal
    best: float | None = None
    best_epoch: int = 0
    bad: int = 0

    name: ClassVar[str] = "early_stopping"
    reached: ClassVar[None] = None
    cut: ClassVar[bool] = False

    def see(self, values: Values) -> None:
        """An epoch has ended; one without a finite value is one without a better value."""
        value = values.get(self.spec.metric)
        if value is not None and better(self.goal, value, self.best, by=self.spec.min_delta):
            self.best, self.best_epoch, self.bad = value, int(values["epoch"]), 0
        else:
            self.bad += 1

    @property
    def end(self) -> Json | None:
        if self.bad < self.spec.patience:
            return None
        known = "" if self.best is None else f" than {self.best:.6g} of epoch {self.best_epoch}"
        message = f"{self.spec.metric} has not been better{known} for {self.bad} epoch{'s' * (self.bad > 1)}"
        return {
            "metric": self.spec.metric,
            "value": self.best,
            "best_epoch": self.best_epoch or None,
            "message": message,
        }

    @property
    def more(self) -> tuple[tuple[str, ...], str]:
        return (self.name, "patience"), f"more than {self.bad}, or null as early_stopping"

    def state(self) -> Json:
        seen = {"best": self.best, "best_epoch": self.best_epoch, "bad": self.bad}
        return {"metric": self.spec.metric, "goal": self.goal, **seen}

    def go_on(self, state: Json) -> None:
        """Of another metric nothing is remembered."""
        if (state["metric"], state["goal"]) == (self.spec.metric, self.goal):
            self.best, self.best_epoch, self.bad = state["best"], state["best_epoch"], state["bad"]
