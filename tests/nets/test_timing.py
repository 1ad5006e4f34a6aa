"""Times of epochs and steps: of what ran, without what comes first, and in bounded memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from nets.training.timing import MOST, Sample, Times


def program() -> Callable[..., Any]:
    return lambda: None


def test_many_measurements_are_some_of_them() -> None:
    sample, values = Sample(), np.random.default_rng(1).permutation(50 * MOST) / (50 * MOST)
    for value in values.tolist():
        sample.add(value)
    assert MOST // 2 <= len(sample.kept) <= MOST and sample.count == len(values)
    assert sample.at(0.05, 0.5, 0.95) == pytest.approx([0.05, 0.5, 0.95], abs=0.03)


def test_a_value_weighs_as_often_as_it_was() -> None:
    sample = Sample()
    sample.add(1.0, 1)
    sample.add(3.0, 99)
    assert sample.at(0.5) == [3.0]
    assert Sample().kept == []


def test_programs_that_run_when_called() -> None:
    """Each is done before the next one begins; the time between does not count, nor does the first of a program."""
    times, train, tail, now = Times(), program(), program(), 0.0
    for run, steps, seconds in [(train, 10, 9.0), (train, 10, 1.0), (tail, 1, 5.0), (train, 5, 1.0), (tail, 1, 0.3)]:
        times.dispatched(run, steps, now)
        times.finished(now + seconds)
        times.finished(now + seconds + 1, running=1)
        now += seconds + 2
    steps = times.told()["step_seconds"]
    assert steps is not None and (steps["steps"], steps["dispatches"]) == (16, 3)
    assert (steps["p5"], steps["p95"]) == (pytest.approx(0.1), pytest.approx(0.3))


def test_programs_that_run_beside() -> None:
    """One is sent while the one before runs: it begins when that one has ended."""
    times, train = Times(), program()
    times.dispatched(train, 10, 0.0)
    for end in (9.0, 10.0, 11.0):
        times.dispatched(train, 10, end - 0.9)
        times.finished(end, running=1)
    times.finished(12.0)
    steps = times.told()["step_seconds"]
    assert steps is not None and steps["steps"] == 30 and steps["p50"] == pytest.approx(0.1)


def test_dispatches_that_are_seen_to_end_together_share_their_time() -> None:
    times, train = Times(), program()
    times.dispatched(train, 1, 0.0)
    times.finished(1.0)
    for _ in range(2):
        times.dispatched(train, 10, 1.0)
    times.finished(3.0)
    steps = times.told()["step_seconds"]
    assert steps is not None and steps["p5"] == steps["p95"] == pytest.approx(0.1)


def test_the_first_epoch_stands_apart() -> None:
    times = Times()
    assert times.told() == {
        "first_epochs": [],
        "first_epoch_seconds": None,
        "median_epoch_seconds": None,
        "step_seconds": None,
    }
    for epoch, seconds in enumerate((9.0, 1.0, 3.0, 2.0), start=4):
        times.epoch(epoch, seconds)
    told = times.told()
    assert told["first_epochs"] == [4]
    assert (told["first_epoch_seconds"], told["median_epoch_seconds"]) == (9.0, 2.0)
