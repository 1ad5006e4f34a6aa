"""Ten ticks in five seconds, from the thread that sends, and how to read them."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.events import ticks as module
from backend.events.delivery import Delivery
from backend.events.log import EventLog
from backend.events.ticks import END, SECONDS, TICKS, Ticks
from backend.state.store import Store
from tests.backend.samples import DEADLINE, read_frame
from tests.moved_clock import MovedClock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> MovedClock:
    clock = MovedClock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def test_they_take_five_seconds() -> None:
    assert TICKS * SECONDS == 5


def test_ticks_come_at_their_times_and_then_the_verdict(clock: MovedClock) -> None:
    told = [read_frame(frame) for frame in Ticks(after=0, keep_alive=10)]
    assert clock.now == MovedClock().now + 5
    assert [name for _, name, _ in told] == ["retry", *["tick"] * 10, "end"]
    assert [number for number, _, _ in told[1:]] == list(range(1, END + 1))
    for number, _, data in told[1:-1]:
        assert (data["tick"], data["of"], data["seconds"]) == (number, 10, 0.5 * number)
        assert data["time"].endswith("+00:00")
    assert "a proxy buffers; see backend/README.md#behind-a-proxy" in told[-1][2]["message"]


@pytest.mark.usefixtures("clock")
def test_a_client_that_comes_back_gets_the_rest() -> None:
    assert [read_frame(frame)[0] for frame in Ticks(after=8, keep_alive=10)][1:] == [9, 10, 11]
    assert len(list(Ticks(after=99, keep_alive=10))) == 12, "an id that is none of ours"


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EventLog]:
    store = Store(tmp_path / "lamina.sqlite3")
    log = EventLog(store)
    yield log
    log.close()
    store.close()


def test_whoever_sends_them_asks_when_they_are_due(log: EventLog, clock: MovedClock) -> None:
    ticks = log.test(after=0)
    assert ticks.news() is not None and ticks.news() == [] and not ticks.behind
    assert ticks.due == clock.now + 0.5
    clock.now += 0.5
    assert [read_frame(frame)[0] for frame in ticks.news() or []] == [1] and ticks.due == clock.now + 0.5
    log.close()
    assert ticks.news() is None


def test_the_delivery_sends_each_when_it_is_due(log: EventLog, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not when it looks for silence, or has rested."""
    monkeypatch.setattr(module, "SECONDS", 0.02)
    monkeypatch.setattr("backend.events.delivery.TICK", 60.0)
    delivery = Delivery()
    delivery.start()
    ours, theirs = socket.socketpair()
    theirs.settimeout(DEADLINE)
    delivery.adopt(ours, log.test(after=0), head=b"", chunked=False, ended=lambda whole: ours.close())
    with theirs, theirs.makefile("rb") as stream:
        sent = [json.loads(line[6:]) for line in stream if line.startswith(b'data: {"tick"')]
    assert [data["tick"] for data in sent] == list(range(1, 11))
    assert all(data["seconds"] >= 0.02 * data["tick"] for data in sent)
    delivery.close()
