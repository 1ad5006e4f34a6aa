"""What learning rates a run will have, before it runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from typing_extensions import TypedDict

from nets.facts import About
from nets.schedules.base import Inputs, Schedule, Span, on_host

MOST_LOOKED_AT = 4096  # steps of a run


class Rates(TypedDict):
    """The learning rates of a run. Of one that is reduced on a plateau: where it is never reduced."""

    first: Annotated[float, About("Of the first step.")]
    largest: Annotated[float, About("Of all steps.")]
    last: Annotated[float, About("Of the last step.")]


def rates(schedule: Schedule | None, span: Span, *, after: int = 0, most: int | None = None, **changed: float) -> Rates:
    """First, largest and last. after: epochs, which are over where a run continues another one. most: steps of the run.

    changed: inputs that are other than the schedule has them.
    """
    if schedule is None:
        return {"first": span.lr, "largest": span.lr, "last": span.lr}
    n = on_host({**schedule.inputs(span), **changed})
    found = rates_at(schedule, span, n, telling(schedule, span, n, after, most))
    return {"first": found[0], "largest": max(found), "last": found[-1]}


def rate_at(schedule: Schedule | None, span: Span, step: int, **changed: float) -> float:
    """Of one step. changed: inputs that are other than the schedule has them."""
    if schedule is None:
        return span.lr
    n = on_host({**schedule.inputs(span), **changed})
    return rates_at(schedule, span, n, np.array([step]))[0]


def rates_at(schedule: Schedule, span: Span, n: Inputs, steps: Any) -> list[float]:
    """Of some steps."""
    return [span.lr * float(factor) for factor in schedule.scale(steps, n)]


def telling(schedule: Schedule, span: Span, n: Inputs, after: int, most: int | None) -> Any:
    """All steps; of many those at which the curve may turn, and others evenly between the first and the last one."""
    first = span.passed + span.steps_per_epoch * after
    end = span.passed + span.steps_per_epoch * span.epochs
    steps = max((end if most is None else min(end, most)) - first, 1)
    if steps <= MOST_LOOKED_AT:
        return np.arange(first, first + steps)
    even = np.linspace(0, steps - 1, MOST_LOOKED_AT).astype(np.int64) + first
    turns: Sequence[int] = [int(mark) + near for mark in schedule.marks(n) for near in (-2, -1, 0, 1, 2)]
    return np.union1d(even, [step for step in turns if even[0] < step < even[-1]]).astype(np.int64)
