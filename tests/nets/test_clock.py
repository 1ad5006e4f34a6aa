"""The clock of a run stands still for whoever listens to it."""

from __future__ import annotations

import pytest

from nets.training import clock as module
from nets.training.clock import Clock
from nets.training.pace import Pace
from tests.moved_clock import MovedClock


@pytest.fixture(autouse=True)
def time(monkeypatch: pytest.MonkeyPatch) -> MovedClock:
    moved = MovedClock()
    monkeypatch.setattr(module, "time", moved)
    return moved


def test_dispatches_stay_long_for_a_slow_listener(time: MovedClock) -> None:
    """The time that a listener takes does not pass for that of the steps before it."""
    clock, pace = Clock(lambda result: True), Pace(4)
    began = clock.now()
    for _ in clock.around(iter("ab")):
        time.sleep(0.05)
    pace.timed(4, clock.now() - began)
    assert pace.steps == 8


def test_what_the_device_does_while_somebody_listens_counts(time: MovedClock) -> None:
    done = False
    clock = Clock(lambda result: done)
    clock.dispatched("a chunk", expected=0.04)
    began = clock.now()
    heard = clock.around(iter("abc"))
    next(heard)
    time.sleep(0.05)
    next(heard)
    assert clock.now() - began == pytest.approx(0.05), "the device was at work all the time"
    began, done = clock.now(), True
    time.sleep(0.2)
    next(heard)
    assert clock.now() - began == pytest.approx(0.04), "it was done in between: about as soon as was expected"


def test_what_the_run_has_waited_for_is_none_of_its_time(time: MovedClock) -> None:
    clock = Clock(lambda result: True)
    began = clock.now()
    time.sleep(0.05)
    clock.waited(clock.now() - began)
    assert clock.now() == began
