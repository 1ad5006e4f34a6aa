"""How a curve goes on where a run is continued over more epochs than it was laid over."""

from __future__ import annotations

from typing import Literal

from nets.schedules.base import Curve, Schedule

Extend = Literal["rescale", "hold", "restart"]
WAYS = """"rescale" lays the curve over all epochs, so that the learning rate jumps back up to where a run of so many \
epochs would be; "hold" keeps the curve as it was and then its last value; "restart" begins it again, warm-up and all, \
over the epochs that are added"""


def extended(schedule: Schedule, how: Extend, *, done: int, of: int) -> Schedule:
    """The schedule of a run that continues one after `done` of `of` epochs. One without a curve stays as it is."""
    if not isinstance(schedule, Curve):
        return schedule
    changes: dict[Extend, dict[str, float | None]] = {
        "rescale": {"horizon_epochs": None},
        "hold": {"horizon_epochs": schedule.horizon_epochs or max(of - schedule.begin_after_epochs, 1.0)},
        "restart": {"begin_after_epochs": float(done), "horizon_epochs": None},
    }
    return schedule.model_copy(update=changes[how])
