"""What the server bears on two cores while a run trains, with real processes and sockets. Figures are printed."""

from __future__ import annotations

import json
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil
import pytest

from backend.config import Settings
from backend.demo.local_server import LocalServer, free_port
from tests.load.clients import Footprint, fall_silent, port_of, reset, subscribe, worker_of

pytestmark = [pytest.mark.slow, pytest.mark.timed]

CONVOLUTIONS: list[dict[str, Any]] = [
    {"type": "conv2d", "in_channels": 1, "out_channels": 16, "kernel_size": 3, "padding": "same"},
    {"type": "relu"},
    {"type": "maxpool2d", "kernel_size": 2},
    {"type": "conv2d", "in_channels": 16, "out_channels": 32, "kernel_size": 3, "padding": "same"},
    {"type": "relu"},
    {"type": "maxpool2d", "kernel_size": 2},
    {"type": "linear", "out": 64},
    {"type": "relu"},
    {"type": "linear", "in": 64, "out": 10},
    {"type": "softmax"},
]
SUBSCRIBERS = 300
WINDOW = 4.0  # seconds of training with or without subscribers
ROUNDS = 6  # of both, by turns
MOST_SLOWER = 0.10
MOST_LONGER = 1.5  # times, by training: it takes turns with answers
CLEAN_UP_SECONDS = 30.0


def definition(*, epochs: int, samples: int = 4096) -> dict[str, Any]:
    architecture = {"input_size": 784, "layers": CONVOLUTIONS}
    return {"architecture": architecture, "hyperparams": hyperparams(epochs=epochs, samples=samples)}


def hyperparams(*, epochs: int, samples: int) -> dict[str, Any]:
    return {"epochs": epochs, "batch_size": 64, "max_samples": samples, "dataset_type": "digits"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    place = tmp_path_factory.mktemp("load")
    settings = Settings(port=free_port(first=0), state_dir=place / "s", data_dir=place / "d", log_level="warning")
    with LocalServer(settings) as running:
        running.wait_until_healthy()
        yield running


class Training:
    """A run that trains until it is cancelled."""

    def __init__(self, server: LocalServer) -> None:
        self.server = server
        started = server.client.post("/api/train", definition(epochs=100_000))
        self.run_id, self.events_url = started["run_id"], started["events_url"]
        self.seen = 0
        while not self.new_paces():
            time.sleep(0.1)

    def new_paces(self) -> list[float]:
        """Samples per second of the epochs that ended since the last call."""
        answer = self.server.client.get(f"/api/runs/{self.run_id}/metrics?since={self.seen}")
        self.seen = answer["last_event_id"]
        return [metric["samples_per_sec"] for metric in answer["metrics"]]

    def pace(self, seconds: float) -> list[float]:
        """Of the epochs within a time; the one that was under way at its beginning does not count."""
        self.new_paces()
        time.sleep(seconds)
        return self.new_paces()[1:]

    def cancel(self) -> None:
        self.server.client.post(f"/api/train/{self.run_id}/cancel")


@contextmanager
def training(server: LocalServer) -> Iterator[Training]:
    run = Training(server)
    try:
        yield run
    finally:
        record = server.client.get(f"/api/runs/{run.run_id}")
        if record["state"] == "running":
            run.cancel()
        for _ in server.client.events(run.events_url):
            pass


@contextmanager
def crowd(server: LocalServer, path: str) -> Iterator[Any]:
    """Subscribers in a process of their own: a function that gives them an order and returns their answer."""
    command = [sys.executable, "-m", "tests.load.crowd", str(port_of(server)), path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin and process.stdout
        orders, answers = process.stdin, process.stdout

        def order(words: str) -> Any:
            print(words, file=orders, flush=True)
            return json.loads(answers.readline())

        yield order
        orders.close()


def test_300_subscribers_get_every_event_and_slow_nothing_down(server: LocalServer) -> None:
    with training(server) as run, crowd(server, run.events_url) as order:
        alone, watched = [], []
        for number in range(ROUNDS):
            alone += run.pace(WINDOW)
            order(f"open {SUBSCRIBERS}")
            watched += run.pace(WINDOW)
            if number + 1 < ROUNDS:
                order("close")
        run.cancel()
        (history,) = order("finish")["histories"]
    ratio = statistics.median(watched) / statistics.median(alone)
    print(f"\n{SUBSCRIBERS} subscribers, {ROUNDS} rounds: samples per second x {ratio:.3f}")
    print(f"medians {statistics.median(alone):,.0f} alone, {statistics.median(watched):,.0f} watched")
    print(f"{len(history['events'])} events, the same {history['count']} times", flush=True)
    assert history["count"] == SUBSCRIBERS
    ids = [int(frame.split("\n")[0].removeprefix("id: ")) for frame in history["events"]]
    assert ids == list(range(1, len(ids) + 1))
    last = json.loads(history["events"][-1].split("data: ")[1])
    assert last["state"] == "cancelled"
    kept = [event for event in server.client.events(run.events_url) if event.name in ("state", "metric", "log")]
    assert len(kept) == len(ids)
    assert ratio > 1 - MOST_SLOWER


def test_2000_questions_from_16_connections_while_a_run_trains(server: LocalServer) -> None:
    started = server.client.post("/api/train", definition(epochs=1, samples=512))
    for _ in server.client.events(started["events_url"]):
        pass
    body = json.dumps({"run_id": started["run_id"], "pixels": [0.5] * 784})
    server.client.post("/api/infer", json.loads(body))  # loads and compiles
    command = [sys.executable, "-m", "tests.load.askers", str(port_of(server)), "16", "2000"]

    def ask(when: str) -> float:
        """Returns: the 99th percentile in milliseconds."""
        done = subprocess.run(command, input=body, stdout=subprocess.PIPE, text=True, check=True, timeout=120)
        heard = json.loads(done.stdout)
        assert heard["statuses"] == {"200": 2000}
        p50, p99, most = (1000 * heard["seconds"][int(part * 1999)] for part in (0.5, 0.99, 1))
        print(f"\n2,000 answers {when}: median {p50:.1f} ms, p99 {p99:.1f} ms, most {most:.1f} ms")
        return float(p99)

    # 100 ms on processors of their usual speed; on slower ones by what the same questions take when nothing trains.
    limit = max(100.0, MOST_LONGER * ask("while nothing trains"))
    slowest = []
    with training(server):
        # A shared machine is slow for seconds at a time, whoever asks: of up to three rounds the best one counts.
        while len(slowest) < 3 and min(slowest, default=limit) >= limit:
            slowest.append(ask("while training"))
    assert min(slowest) < limit


def test_clients_that_read_no_more_or_vanish_cost_nobody_anything(server: LocalServer) -> None:
    worker, port = worker_of(server), port_of(server)
    with training(server) as run, crowd(server, run.events_url) as order:
        order("open 3")
        before = Footprint.of(worker)
        left = lost_clients(server, port, run.events_url)
        once = settled(worker, files=before.files + 4)
        left += lost_clients(server, port, run.events_url)
        twice = settled(worker, files=before.files + 4)
        print(f"{before} before, {once} after 160 lost clients, {twice} after 160 more", flush=True)
        for after in once, twice:
            assert after.threads <= before.threads + 4  # gunicorn's pool grows up to its limit as requests come
            assert after.files <= before.files + 4
        # Freed memory may stay with the process (nets/memory.py), so the first ones may leave their mark; what anyone
        # leaked, the next ones would leak again.
        assert once.megabytes < 1.2 * before.megabytes
        assert twice.megabytes < 1.05 * once.megabytes
        run.cancel()
        (history,) = order("finish")["histories"]
        assert history["count"] == 3
        for connection in left:
            connection.close()


def settled(worker: psutil.Process, *, files: int) -> Footprint:
    """What the server holds once it has so few files: it waits a moment for the other side to close."""
    deadline = time.monotonic() + CLEAN_UP_SECONDS
    while (found := Footprint.of(worker)).files > files and time.monotonic() < deadline:
        time.sleep(0.2)
    return found


def lost_clients(server: LocalServer, port: int, path: str) -> list[socket.socket]:
    """40 subscribers each that leave, vanish, fall silent and stop reading, until the server has given their places up.

    Returns the sockets that this side still holds.
    """
    closed, gone, silent = ([subscribe(port, path) for _ in range(40)] for _ in range(3))
    stuck = [subscribe(port, path, receive_buffer=1024) for _ in range(40)]
    for connection in closed:
        connection.close()
    for connection in gone:
        reset(connection)
    if sys.platform == "linux":
        for connection in silent:
            fall_silent(connection)
    began = time.monotonic()
    while server.client.get("/api/health")["event_streams"] > 3:
        assert time.monotonic() - began < CLEAN_UP_SECONDS
        time.sleep(0.5)
    print(f"\n160 clients lost: places free after {time.monotonic() - began:.1f} s", flush=True)
    return [*silent, *stuck]
