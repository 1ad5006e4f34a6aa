"""Doubts about how the learning rate changes over a run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from nets.doubts.case import Case
from nets.doubts.doubt import Doubt
from nets.schedules import Cosine, MultiStep, Piecewise, ReduceOnPlateau, Schedule, Span, Step
from nets.schedules.base import on_host
from nets.schedules.rates import Rates, rates
from nets.training.learning_rate import span_of

SCHEDULE = ("hyperparams", "lr_schedule")
IDLE, LEAST_IDLE = 1e-3, 0.1  # of the largest learning rate, and of the epochs that have no more
CUT, NEAR = 0.1, 0.999  # of the largest learning rate, at the end; and of a whole cycle
PLACES = 1000  # of a run that are looked at


@dataclass(frozen=True)
class Laid:
    """A schedule laid over the run of a request. steps: of an epoch where the data are not known."""

    schedule: Schedule
    span: Span

    @cached_property
    def rates(self) -> Rates:
        return rates(self.schedule, self.span)

    def at(self, epochs: Any) -> Any:
        """The learning rate after some epochs."""
        steps = np.minimum(
            np.asarray(epochs) * self.span.steps_per_epoch, self.span.epochs * self.span.steps_per_epoch - 1
        )
        return self.span.lr * self.schedule.scale(np.floor(steps), on_host(self.schedule.inputs(self.span)))


def laid(case: Case) -> Laid | None:
    """None without a schedule."""
    h = case.hyperparams
    if h is None or h.lr_schedule is None:
        return None
    return Laid(h.lr_schedule, span_of(h, case.train or h.batch_size * 100))


def told(rule: str, field: str, reason: str, cure: str) -> Iterator[Doubt]:
    yield Doubt(rule, (*SCHEDULE, field), reason, cure)


def count(epochs: float) -> str:
    """`1 epoch`, `2.5 epochs`."""
    return f"{epochs:.4g} epoch{'' if epochs == 1 else 's'}"


def warmup_beyond_the_run(case: Case) -> Iterator[Doubt]:
    if (it := laid(case)) is None:
        return
    warmup, there = getattr(it.schedule, "warmup_epochs", 0) or 0, it.span.epochs
    over = getattr(it.schedule, "horizon_epochs", None) or there - getattr(it.schedule, "begin_after_epochs", 0)
    if warmup and warmup >= min(over, there):
        reason = (
            f"a warm-up of {count(warmup)} leaves nothing of {count(max(min(over, there), 0))} to train on the whole"
        )
        cure = f"take a tenth of them, {max(there, 1) / 10:g}"
        yield from told("warmup_beyond_the_run", "warmup_epochs", reason, cure)


def idle_end(case: Case) -> Iterator[Doubt]:
    it = laid(case)
    if it is None or not it.schedule.has_a_curve:
        return
    places = np.linspace(0, it.span.epochs, PLACES, endpoint=False)
    moving = np.flatnonzero(it.at(places) > IDLE * it.rates["largest"])
    idle = it.span.epochs - (places[moving[-1]] + it.span.epochs / PLACES if len(moving) else 0)
    if idle > max(LEAST_IDLE * it.span.epochs, 1) * (1 + 1e-6):
        reason = (
            f"in the last {count(idle)} of {it.span.epochs} the learning rate is less than a thousandth of the largest"
        )
        yield Doubt("idle_end", SCHEDULE, reason, "end sooner, or let it fall more slowly or less far")


def never_reached(case: Case) -> Iterator[Doubt]:
    if (it := laid(case)) is None:
        return
    schedule, epochs = it.schedule, it.span.epochs
    field, places = {
        Step: ("step_epochs", [getattr(schedule, "step_epochs", 0)]),
        MultiStep: ("milestones_epochs", getattr(schedule, "milestones_epochs", ())),
        Piecewise: ("points", [epoch for epoch, _ in getattr(schedule, "points", ())]),
    }.get(type(schedule), ("", ()))
    late = [epoch for epoch in places if epoch + getattr(schedule, "begin_after_epochs", 0) >= epochs]
    if isinstance(schedule, Piecewise) and schedule.interpolation == "linear" and len(late) == 1:
        return  # the way to it is gone, as far as there is time
    if late:
        reason = f"{late[0]:g} is not reached in {count(epochs)}"
        yield from told("never_reached", field, reason, "take it sooner, or train longer")


def cut_off_cycle(case: Case) -> Iterator[Doubt]:
    it = laid(case)
    if it is None or not isinstance(it.schedule, Cosine) or it.schedule.restart_epochs is None:
        return
    last, largest = it.rates["last"], it.rates["largest"]
    if last > max(CUT * largest, 2 * it.schedule.final_lr) and it.schedule.horizon_epochs is None:
        reason = f"the run ends within a cycle, where the learning rate is still {last:.3g} of {largest:.3g}"
        yield from told("cut_off_cycle", "restart_epochs", reason, f"let {count(it.span.epochs)} be whole cycles")


def rising_end(case: Case) -> Iterator[Doubt]:
    it = laid(case)
    final = getattr(it.schedule, "final_lr", 0) if it else 0
    if it is not None and final > it.span.lr:
        reason = f"{final:g} is more than the optimizer's lr of {it.span.lr:g}, so that the learning rate rises to it"
        yield from told("rising_end", "final_lr", reason, "send less, such as 0")


def late_plateau(case: Case) -> Iterator[Doubt]:
    it = laid(case)
    if it is None or not isinstance(it.schedule, ReduceOnPlateau):
        return
    # The first one is the best, `patience` and one more are not better, and the next one has less.
    patience, needed, epochs = it.schedule.patience, it.schedule.patience + 3, it.span.epochs
    if needed > epochs:
        reason = (
            f"with a patience of {patience}, epoch {needed} is the first that can have less, and there are {epochs}"
        )
        less = max(epochs // 5 - 1, 0)
        cure = f"a patience of {less}{' or less' * (less > 0)}, or more epochs" if epochs > 2 else "have more epochs"
        yield from told("late_plateau", "patience", reason, cure)
