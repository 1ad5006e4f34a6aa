"""The learning rate of a run in motion."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from nets.datasets import DatasetInfo
from nets.hyperparams.hyperparams import Hyperparams
from nets.schedules import Plateau, ReduceOnPlateau, Schedule, Span
from nets.schedules.rates import Rates, rate_at, rates
from nets.training.rules import Rule, restore
from nets.training.sampling import split_sizes, steps_per_epoch
from nets.training.snapshot import Snapshot


def span_of(hyperparams: Hyperparams, train: int) -> Span:
    """What its schedule is laid over. train: samples to train on."""
    return Span(steps_per_epoch(hyperparams, train), hyperparams.epochs, hyperparams.optimizer.lr)


def plateau_of(hyperparams: Hyperparams) -> Plateau | None:
    """The rule that reduces the learning rate, where the schedule is one."""
    schedule = hyperparams.lr_schedule
    if not isinstance(schedule, ReduceOnPlateau):
        return None
    return Plateau(schedule, hyperparams.optimizer.lr, hyperparams.goal_of(schedule.metric, schedule.goal))


def rates_of(hyperparams: Hyperparams, info: DatasetInfo, before: Snapshot | None = None) -> Rates:
    """What a run on such data will have. before: what it continues."""
    train, _ = split_sizes(hyperparams, info.train_size)
    plateau, after = plateau_of(hyperparams), before.epoch if before else 0
    if plateau and before:
        restore([plateau], before.rules)
    changed = {"reduced": plateau.reduced} if plateau else {}
    return rates(
        hyperparams.lr_schedule, span_of(hyperparams, train), after=after, most=hyperparams.max_steps, **changed
    )


@dataclass
class LearningRate:
    """A schedule laid over a run, and what a plateau has left of it."""

    schedule: Schedule | None
    span: Span
    plateau: Plateau | None

    @classmethod
    def of(cls, hyperparams: Hyperparams, train: int, rules: Iterable[Rule]) -> LearningRate:
        """That of a run with these rules."""
        plateau = next((rule for rule in rules if isinstance(rule, Plateau)), None)
        return cls(hyperparams.lr_schedule, span_of(hyperparams, train), plateau)

    def go_on(self, *, steps: int, epochs: int) -> None:
        """After so many of both: a run may continue one whose epochs had more steps, or fewer."""
        self.span = replace(self.span, passed=steps - epochs * self.span.steps_per_epoch)

    def inputs(self) -> dict[str, Any]:
        """What programs take."""
        return {**self.schedule.inputs(self.span), **self.changed} if self.schedule else {}

    @property
    def changed(self) -> dict[str, float]:
        """The inputs that a plateau has changed."""
        return {"reduced": self.plateau.reduced} if self.plateau else {}

    def of_step(self, number: int) -> float:
        """number: counted from 1 over all epochs, as long as they are now."""
        return rate_at(self.schedule, self.span, self.span.passed + number - 1, **self.changed)

    def last_of(self, steps: int) -> float:
        """Of the last one of so many steps, over all epochs, however long these were."""
        return rate_at(self.schedule, self.span, steps - 1, **self.changed)
