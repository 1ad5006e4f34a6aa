"""Peaks are measured once, for who asks, and never beside a run."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from backend.state.attempts import Attempts
from backend.training import measuring as module
from backend.training.measuring import LEFT_OUT, SOON, Measuring
from backend.training.warmer import Warmer
from nets.calibration.peaks import Interrupted, Peaks
from nets.process.devices import default_device
from nets.training.cache import ProgramCache
from tests.backend.samples import DEADLINE

DEVICE = default_device()


@pytest.fixture
def attempts(tmp_path: Path) -> Attempts:
    return Attempts(tmp_path)


@pytest.fixture
def warmer(attempts: Attempts, monkeypatch: pytest.MonkeyPatch) -> Iterator[Warmer]:
    monkeypatch.setattr("backend.training.warmer.rehearse", lambda workload: None)
    monkeypatch.setattr(module, "with_rates", lambda made, *_, **__: replace(made, rates={"cpu": {"train.step": 1.0}}))
    made = Warmer(attempts, ProgramCache())
    made.start()
    yield made
    made.close()


def until_done(measuring: Measuring) -> None:
    tick = threading.Event()
    for _ in range(int(DEADLINE / 0.01)):
        if not measuring.under_way():
            return
        tick.wait(0.01)
    raise AssertionError("it goes on")


def test_what_is_asked_for_is_measured_once(
    tmp_path: Path, warmer: Warmer, attempts: Attempts, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates = iter([1.0, 2.0])
    monkeypatch.setattr(module, "measured_peaks", lambda *_, **__: Peaks({"float32": next(rates)}, 9.0))
    measuring = Measuring(tmp_path / "calibration", warmer, attempts)
    assert measuring.kept(DEVICE) is None and measuring.reason(DEVICE) == SOON
    for again, found in ((False, 1.0), (False, 1.0), (True, 2.0)):
        measuring.ask(DEVICE, again=again)
        until_done(measuring)
        kept = measuring.kept(DEVICE)
        assert kept and kept.peaks == {"float32": found} and bool(kept.rates) == again, "rates take a minute: on demand"
    assert not measuring.under_way()


def test_a_run_goes_first(tmp_path: Path, warmer: Warmer, attempts: Attempts, monkeypatch: pytest.MonkeyPatch) -> None:
    """It waits for no measurement, and none begins beside it."""
    begun, calls = threading.Event(), []

    def measured(*_: object, stopped: object) -> Peaks:
        calls.append(stopped)
        begun.set()
        if len(calls) == 1:
            assert paused.wait(DEADLINE) and stopped()  # type: ignore[operator]
            raise Interrupted
        return Peaks({"float32": 5.0}, 9.0)

    paused = threading.Event()
    monkeypatch.setattr(module, "measured_peaks", measured)
    measuring = Measuring(tmp_path / "calibration", warmer, attempts)
    measuring.ask(DEVICE)
    assert begun.wait(DEADLINE)
    with warmer.paused():
        paused.set()
        until_done(measuring)
        assert measuring.kept(DEVICE) is None and measuring.reason(DEVICE) == SOON
        measuring.ask(DEVICE, again=True)
        assert measuring.under_way() and len(calls) == 1
    until_done(measuring)
    assert len(calls) == 2 and measuring.kept(DEVICE)


def test_what_fails_is_left_alone_and_said(
    tmp_path: Path, warmer: Warmer, attempts: Attempts, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def fails(*_: object, **__: object) -> Peaks:
        calls.append(1)
        raise RuntimeError("out of memory")

    monkeypatch.setattr(module, "measured_peaks", fails)
    measuring = Measuring(tmp_path / "calibration", warmer, attempts)
    for _ in range(2):
        measuring.ask(DEVICE)
        until_done(measuring)
    assert measuring.reason(DEVICE) == LEFT_OUT and len(calls) == 1
