"""The end of a run that is as good as was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import Field

from nets.facts import TargetReached
from nets.spec.fields import Boolean, Real, Spec, Text
from nets.stopping.ending import Json, Values
from nets.stopping.goals import AnyGoal, Goal, reaches


class Target(Spec):
    """The run ends after the first epoch with which a metric is as good as a value; its record tells when."""

    metric: Text = Field(
        default="val_accuracy",
        description="What is looked at after each epoch: `val_loss`, `val_accuracy`, `train_loss`, `train_accuracy`, "
        "or a number of the run's `metrics`, such as `f1`.",
    )
    value: Real = Field(description="The value to reach; of an accuracy a share from 0 to 1.")
    goal: AnyGoal | None = Field(
        default=None, description="Whether less or more is better; without it as the metric has it."
    )
    stop: Boolean = Field(default=True, description="Whether the run ends there, or only tells when it was.")

    aliases: ClassVar[Mapping[str, str]] = {"monitor": "metric", "mode": "goal"}


@dataclass
class Aim:
    """Whether the target of a run was reached, and when first."""

    spec: Target
    goal: Goal
    reached: TargetReached | None = None

    name: ClassVar[str] = "target"
    cut: ClassVar[bool] = False

    def see(self, values: Values) -> None:
        value = values.get(self.spec.metric)
        if self.reached is None and value is not None and reaches(self.goal, value, self.spec.value):
            self.reached = {
                "metric": self.spec.metric,
                "target": self.spec.value,
                "value": value,
                "epoch": int(values["epoch"]),
                "seconds": values["seconds"],
            }

    @property
    def end(self) -> Json | None:
        if self.reached is None or not self.spec.stop:
            return None
        metric, value = self.spec.metric, self.reached["value"]
        message = f"{metric} of {value:.6g} has reached the target of {self.spec.value:.6g}"
        return {"metric": metric, "value": value, "message": message}

    @property
    def more(self) -> tuple[tuple[str, ...], str]:
        return (self.name, "value"), "a value that is harder to reach, or null as target"

    def state(self) -> Json:
        reached: Any = self.reached
        return {"metric": self.spec.metric, "goal": self.goal, "target": self.spec.value, "reached": reached}

    def go_on(self, state: Json) -> None:
        """Of another target nothing is remembered."""
        if [state[name] for name in ("metric", "goal", "target")] == [self.spec.metric, self.goal, self.spec.value]:
            self.reached = state["reached"]
