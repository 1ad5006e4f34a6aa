"""How long the epochs and steps of a run take: what the trainer reads off its clock anyway, in a few numbers."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from statistics import median

import numpy as np

from nets.facts import StepSeconds, Timing
from nets.training.cache import Program

MOST = 1024  # measurements kept of however many


class Sample:
    """Measurements with weights: all of them, or of many some, at even distances."""

    def __init__(self) -> None:
        self.kept: list[tuple[float, int]] = []
        self.count = self.weight = 0
        self._every = 1

    def add(self, value: float, weight: int = 1) -> None:
        if self.count % self._every == 0:
            self.kept.append((value, weight))
            if len(self.kept) == MOST:
                self.kept, self._every = self.kept[::2], 2 * self._every
        self.count += 1
        self.weight += weight

    def at(self, *fractions: float) -> list[float]:
        """The least of the values up to which these shares of the weight lie."""
        return weighted_quantiles(self.kept, *fractions)


def weighted_quantiles(weighted: Iterable[tuple[float, int]], *fractions: float) -> list[float]:
    """The least of some values up to which these shares of their weights lie."""
    values, weights = np.array(sorted(weighted)).T
    reached = np.cumsum(weights)
    found: list[float] = values[np.searchsorted(reached, np.multiply(fractions, reached[-1]))].tolist()
    return found


class Times:
    """Of one session of a run, from its start or resume on. Nothing here waits for the device."""

    def __init__(self) -> None:
        self._epochs, self._steps = Sample(), Sample()
        self._first: tuple[int, float] | None = None
        self._running: deque[tuple[Program, int, float]] = deque()
        self._seen: set[int] = set()  # programs that have run
        self._free = 0.0  # since when the device had nothing to do but what followed

    def epoch(self, number: int, seconds: float) -> None:
        """One has ended."""
        if self._first is None:
            self._first = number, seconds
        else:
            self._epochs.add(seconds)

    def dispatched(self, program: Program, steps: int, at: float) -> None:
        """The device got some steps to do."""
        self._running.append((program, steps, at))

    def finished(self, now: float, *, running: int = 0) -> None:
        """All that was dispatched is known to be done, but for the last `running` of it."""
        done = [self._running.popleft() for _ in range(len(self._running) - running)]
        if not done:
            return
        programs, steps = {id(program) for program, _, _ in done}, sum(steps for _, steps, _ in done)
        seconds, self._free = now - max(done[0][2], self._free), now
        if programs <= self._seen:
            self._steps.add(seconds / steps, steps)
        self._seen |= programs  # the first time allocates, loads and warms up

    def steps(self) -> list[tuple[float, int]]:
        """Seconds of a step, each with how many took that."""
        return list(self._steps.kept)

    def told(self) -> Timing:
        """So far."""
        return {
            "first_epochs": [self._first[0]] if self._first else [],
            "first_epoch_seconds": self._first[1] if self._first else None,
            "median_epoch_seconds": median(value for value, _ in self._epochs.kept) if self._epochs.kept else None,
            "step_seconds": self._of_steps(),
        }

    def _of_steps(self) -> StepSeconds | None:
        if not self._steps.kept:
            return None
        p5, p50, p95 = self._steps.at(0.05, 0.5, 0.95)
        return {"p5": p5, "p50": p50, "p95": p95, "steps": self._steps.weight, "dispatches": self._steps.count}
