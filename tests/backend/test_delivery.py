"""One thread sends every stream, and no client is in another's way."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from backend.events import delivery as module
from backend.events.delivery import Delivery
from backend.events.log import EventLog
from backend.state.store import Store
from tests.backend.samples import DEADLINE, add_run, eventually

HEAD = b"HTTP/1.1 200 OK\r\n\r\n"


class Place:
    """A delivery with its event log."""

    def __init__(self, folder: Path) -> None:
        self.delivery = Delivery()
        self.store = Store(folder / "lamina.sqlite3")
        self.log = EventLog(self.store, wake=self.delivery.wake, keep_alive=0.05)
        self.ends: list[bool] = []
        self.delivery.start()

    def subscribe(self, *, chunked: bool = False, tcp: bool = False) -> socket.socket:
        ours, theirs = small_window() if tcp else socket.socketpair()
        follower = self.log.follow("r_1", after=0)
        self.delivery.adopt(ours, follower, head=HEAD, chunked=chunked, ended=lambda whole: self.end(ours, whole))
        theirs.settimeout(DEADLINE)
        return theirs

    def end(self, connection: socket.socket, whole: bool) -> None:
        self.ends.append(whole)
        connection.close()


def small_window() -> tuple[socket.socket, socket.socket]:
    """A TCP connection whose reader has room for 4 KB."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        reader = socket.socket()
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader.connect(server.getsockname())
        return server.accept()[0], reader


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    add_run(place.store)
    yield place
    place.log.close()
    place.delivery.close()
    place.store.close()


def everything(client: socket.socket) -> bytes:
    with client, client.makefile("rb") as stream:
        return stream.read()


def test_a_stream_from_its_head_to_its_end(place: Place) -> None:
    client = place.subscribe()
    place.log.transition("r_1", "running")
    place.log.publish("r_1", "metric", {"epoch": 1})
    place.log.transition("r_1", "cancelled")
    received = everything(client)
    assert received.startswith(HEAD + b"retry: 3000\n\nid: 1\nevent: state\n")
    assert received.count(b"\nevent: ") == 4 and received.endswith(b"\n\n")
    assert place.ends == [True]


def test_history_waits_for_no_tick_and_no_rest(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TICK", "REST", "LONGEST_REST"):
        monkeypatch.setattr(module, name, 1e9)
    for _ in range(3):
        place.delivery.wake()
        with place.subscribe() as client:
            received = b""
            while b"event: state" not in received:
                received += client.recv(4096)


def test_chunks_are_those_of_http(place: Place) -> None:
    client = place.subscribe(chunked=True)
    place.log.transition("r_1", "cancelled")
    received = everything(client)
    assert received.startswith(HEAD + b"D\r\nretry: 3000\n\n\r\n")
    assert received.endswith(b"\n\n\r\n0\r\n\r\n")


def test_silence_is_broken_by_comments(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TICK", 0.02)
    with place.subscribe() as client:
        received = b""
        while received.count(b": keep-alive\n\n") < 2:
            received += client.recv(4096)


def test_a_client_that_leaves_is_let_go_at_once(place: Place) -> None:
    place.subscribe().close()
    eventually(lambda: place.ends == [False])


@pytest.mark.timed
def test_one_that_stops_reading_is_dropped_and_delays_nobody(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STALLED", 0.2)
    monkeypatch.setattr(module, "TICK", 0.02)
    stuck, reader = place.subscribe(), place.subscribe()
    with ThreadPoolExecutor() as pool:
        read = pool.submit(everything, reader)
        for number in range(40):
            place.log.publish("r_1", "log", {"message": "x" * 20_000, "number": number})
        eventually(lambda: place.ends == [False])
        place.log.transition("r_1", "cancelled")
        assert read.result(DEADLINE).count(b"\nevent: log\n") == 40
    eventually(lambda: place.ends == [False, True])
    stuck.close()


@pytest.mark.timed
def test_a_slow_reader_is_no_stuck_one(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """20 KB a second through a small window: the kernel's buffer stays full for longer than anyone may be stuck."""
    monkeypatch.setattr(module, "STALLED", 0.5)
    monkeypatch.setattr(module, "TICK", 0.02)
    stuck, slow = place.subscribe(tcp=True), place.subscribe(tcp=True)
    for number in range(20):
        place.log.publish("r_1", "log", {"message": "x" * 20_000, "number": number})
    began, received = time.monotonic(), b""
    while time.monotonic() < began + 2:
        received += slow.recv(1000)
        time.sleep(0.05)
    assert place.ends == [False], "of the stuck one alone"
    place.log.transition("r_1", "cancelled")
    assert (received + everything(slow)).count(b"\nevent: log\n") == 20
    stuck.close()


def test_history_is_sent_without_rest_unless_a_run_trains(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    rests: list[float] = []
    monkeypatch.setattr(place.delivery, "_rest", lambda began, times: rests.append(times) or 0.0)
    monkeypatch.setattr(module, "CATCH_UP_ROUND", 0.0)
    monkeypatch.setattr("backend.events.reader.PAGE", 5)
    for number in range(200):
        place.log.publish("r_1", "log", {"number": number})
    place.log.transition("r_1", "cancelled")

    def rested() -> float:
        """Times of CPU time, between pages of history."""
        rests.clear()
        assert everything(place.subscribe()).count(b"\nevent: log\n") == 200
        return sum(times for times in rests if times != module.REST)

    assert rested() == 0
    monkeypatch.setattr(place.delivery, "_training", lambda: True)
    assert rested() >= 40 * module.CATCH_UP_REST


def test_rests_are_as_long_as_the_work_before_them_and_bounded(place: Place) -> None:
    now = time.thread_time()
    assert place.delivery._rest(now - 0.01, 3) == pytest.approx(0.03, abs=0.01)
    assert place.delivery._rest(now - 1.0, 49) == module.LONGEST_REST


def test_the_end_of_the_server_ends_streams_with_what_is_there(place: Place) -> None:
    client = place.subscribe()
    place.log.transition("r_1", "running")
    place.log.close()
    place.delivery.close()
    assert everything(client).count(b"\nevent: state\n") == 2
    assert place.ends == [True]


def test_a_broken_follower_ends_its_own_stream_alone(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    good = place.subscribe()
    ours, theirs = socket.socketpair()
    follower = place.log.follow("r_1", after=0)
    monkeypatch.setattr(follower, "news", lambda: 1 / 0)
    with theirs:
        place.delivery.adopt(ours, follower, head=b"", chunked=False, ended=lambda whole: place.end(ours, whole))
        eventually(lambda: place.ends == [False])
    place.log.transition("r_1", "cancelled")
    assert everything(good).count(b"\nevent: state\n") == 2
