"""How far a run goes at most, and where in it an epoch is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, cast

from nets.facts import StoppedBy
from nets.hyperparams.hyperparams import Hyperparams
from nets.stopping.early_stopping import Patience
from nets.stopping.ending import Ending
from nets.stopping.limits import Limit
from nets.stopping.target import Aim
from nets.training.rules import Rule, restore
from nets.training.snapshot import Snapshot


@dataclass(frozen=True)
class Place:
    """The end of an epoch, which took so many seconds and has seen that share of its samples.

    step, seconds: of all epochs so far.
    """

    epoch: int
    step: int
    seconds: float
    took: float = 0.0
    share: float = 1.0

    @property
    def values(self) -> dict[str, float]:
        """As rules see them."""
        return {"epoch": float(self.epoch), "step": float(self.step), "seconds": self.seconds, "share": self.share}


@dataclass(frozen=True)
class Horizon:
    """What a run may do at most. steps_per_epoch: of the optimizer."""

    epochs: int
    steps_per_epoch: int
    max_steps: int | None = None
    max_seconds: float | None = None

    @classmethod
    def of(cls, hyperparams: Hyperparams, steps_per_epoch: int) -> Self:
        return cls(hyperparams.epochs, steps_per_epoch, hyperparams.max_steps, hyperparams.max_seconds)

    @property
    def steps(self) -> int:
        """In all epochs, at most."""
        return min(self.epochs * self.steps_per_epoch, self.max_steps or self.epochs * self.steps_per_epoch)

    def left(self, step: int) -> int | None:
        """How many steps may follow so many; None: those of all epochs."""
        return None if self.max_steps is None else max(0, self.max_steps - step)

    def late(self, seconds: float) -> bool:
        """Whether no time is left after so much."""
        return self.max_seconds is not None and seconds >= self.max_seconds

    def progress(self, at: Place) -> float:
        """How far the run is at the end of an epoch, as far as can be told, from 0 to 1."""
        shares = [at.epoch / self.epochs]
        shares += [at.step / self.max_steps] if self.max_steps else []
        shares += [at.seconds / self.max_seconds] if self.max_seconds else []
        return min(1.0, max(shares))

    def seconds_left(self, at: Place) -> float:
        """How long it takes from there, at most."""
        left = [(self.epochs - at.epoch) * at.seconds / at.epoch]
        left += [max(0, self.max_steps - at.step) * at.seconds / at.step] if self.max_steps else []
        left += [max(0.0, self.max_seconds - at.seconds)] if self.max_seconds else []
        return min(left)


def endings_of(hyperparams: Hyperparams) -> list[Ending]:
    """The rules that may end a run, with nothing seen; of several that would, the first is told."""
    found: list[Any] = []
    if target := hyperparams.target:
        found.append(Aim(target, hyperparams.goal_of(target.metric, target.goal)))
    if rule := hyperparams.early_stopping:
        found.append(Patience(rule, hyperparams.goal_of(rule.metric, rule.goal)))
    if hyperparams.max_steps is not None:
        found.append(Limit("max_steps", hyperparams.max_steps))
    if hyperparams.max_seconds is not None:
        found.append(Limit("max_seconds", hyperparams.max_seconds))
    return found


def go_on(rules: Iterable[Rule], snapshot: Snapshot) -> None:
    """Have the rules of a run stand where another one stood."""
    restore(rules, snapshot.rules)
    for rule in rules:
        if isinstance(rule, Limit):
            rule.begin_at(step=int(snapshot.state.step), seconds=snapshot.seconds)


def stopped_by(endings: Sequence[Ending], at: Place, epochs: int) -> StoppedBy | None:
    """What ends a run at the end of an epoch; None where it goes on, or has seen all of its epochs."""
    for rule in endings:
        end: Mapping[str, Any] | None = rule.end
        if end is not None and (at.epoch < epochs or rule.cut):
            told = {"metric": None, "value": None, "best_epoch": None, **end}
            whole = not any(each.cut for each in endings)
            place = {"epoch": at.epoch, "whole": whole, "step": at.step, "seconds": at.seconds}
            return cast(StoppedBy, {"rule": rule.name, **place, **told})
    return None
