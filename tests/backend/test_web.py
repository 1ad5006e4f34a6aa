"""What only a real server on a real socket can show: streams, headers, large bodies, a restart."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

import pytest

from backend.demo.local_server import LocalServer, free_port
from tests.backend.conftest import BODY, finish, offline_app, parts, settings
from tests.backend.samples import DEADLINE, eventually, read_frame

JSON = {"Content-Type": "application/json"}
EPOCHS = 30
LONG = {**BODY, "hyperparams": {**BODY["hyperparams"], "epochs": EPOCHS}, "queue": True}
Event = tuple[int | None, str, dict[str, Any]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    with LocalServer(settings(tmp_path_factory.mktemp("wire"), port=free_port(first=0), max_body_mb=8)) as server:
        server.wait_until_healthy()
        yield server


@contextmanager
def connection(server: LocalServer) -> Iterator[HTTPConnection]:
    host, port = server.client.url.removeprefix("http://").split(":")
    opened = HTTPConnection(host, int(port), timeout=DEADLINE)
    try:
        yield opened
    finally:
        opened.close()


@contextmanager
def raw(server: LocalServer, request: bytes) -> Iterator[socket.socket]:
    host, port = server.client.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=DEADLINE) as opened:
        opened.sendall(request)
        yield opened


def answered(response: HTTPResponse) -> Any:
    return json.loads(response.read())


def stream(server: LocalServer, run_id: str, **headers: str) -> list[Event]:
    """All events of a run that have a place in its history, read until the server ends the stream."""
    with connection(server) as opened:
        opened.request("GET", f"/api/runs/{run_id}/events", headers=headers)
        frames = opened.getresponse().read().split(b"\n\n")
    events = [read_frame(frame + b"\n\n") for frame in frames if frame]
    assert [name for _, name, _ in events].count("retry") == 1
    return [event for event in events if event[0] is not None]


@pytest.fixture(scope="module")
def told(server: LocalServer) -> tuple[str, list[Event]]:
    """A finished run, and what two readers who were there all along were told."""
    run_id = server.client.post("/api/train", LONG)["run_id"]
    heard: list[list[Event]] = []
    readers = [threading.Thread(target=lambda: heard.append(stream(server, run_id))) for _ in range(2)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join(60)
    assert len(heard) == 2 and heard[0] == heard[1]
    return run_id, heard[0]


def test_readers_hear_everything_in_order(told: tuple[str, list[Event]]) -> None:
    run_id, events = told
    assert [number for number, _, _ in events] == list(range(1, len(events) + 1))
    assert [data["state"] for _, name, data in events if name == "state"] == ["queued", "running", "succeeded"]
    assert [data["epoch"] for _, name, data in events if name == "metric"] == list(range(1, EPOCHS + 1))
    assert events[-1][1] == "state" and events[-1][2]["test_accuracy"] > 0.5
    assert {data["run_id"] for _, _, data in events} == {run_id}


def test_a_late_reader_hears_the_same(server: LocalServer, told: tuple[str, list[Event]]) -> None:
    run_id, events = told
    assert stream(server, run_id) == events
    assert stream(server, run_id, **{"Last-Event-ID": "7"}) == events[7:]


def test_who_has_it_all_is_told_to_stop(server: LocalServer, told: tuple[str, list[Event]]) -> None:
    run_id, events = told
    with connection(server) as opened:
        opened.request("GET", f"/api/runs/{run_id}/events", headers={"Last-Event-ID": str(events[-1][0])})
        answer = opened.getresponse()
        assert (answer.status, answer.read()) == (204, b"")


def test_the_stream_has_the_headers_of_the_contract_once_each(
    server: LocalServer, told: tuple[str, list[Event]]
) -> None:
    request = f"GET /api/runs/{told[0]}/events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n"
    with raw(server, request.encode()) as opened:
        received = b""
        while b"\r\n\r\n" not in received:
            received += opened.recv(4096)
    head = received.split(b"\r\n\r\n")[0].decode().lower().split("\r\n")
    assert head[0] == "http/1.1 200 ok"
    for line in ("cache-control: no-cache, no-transform", "x-accel-buffering: no", "connection: keep-alive"):
        assert head.count(line) == 1
    assert [line for line in head if line.startswith("content-type")] == [
        "content-type: text/event-stream; charset=utf-8"
    ]
    assert sum(line.startswith("connection") for line in head) == 1


def test_the_head_of_a_live_stream_returns_at_once(server: LocalServer) -> None:
    run_id = server.client.post("/api/train", LONG)["run_id"]
    with connection(server) as opened:
        opened.request("HEAD", f"/api/runs/{run_id}/events")
        answer = opened.getresponse()
        assert answer.status == 200 and answer.headers["Content-Type"].startswith("text/event-stream")
        assert "Content-Length" not in answer.headers, "nobody knows how long it is"
        assert answer.headers["Cache-Control"] == "no-cache, no-transform"
        assert answer.read() == b""
        opened.request("POST", f"/api/train/{run_id}/cancel", headers=JSON)  # on the same connection
        assert opened.getresponse().status in (202, 409)


def test_progress_is_shown_while_training_and_a_cancel_ends_it(server: LocalServer) -> None:
    body = {**LONG, "hyperparams": {**LONG["hyperparams"], "epochs": 5000, "max_samples": None}}
    run_id = server.client.post("/api/train", body)["run_id"]
    names = []
    for event in server.client.events(f"/api/runs/{run_id}/events"):
        names.append(event.name)
        if event.name == "metric" and names.count("metric") == 1:
            cancelled = server.client.post(f"/api/train/{run_id}/cancel")
            assert cancelled["run_id"] == run_id
    assert "progress" in names and names[-1] == "state"
    assert server.client.get(f"/api/runs/{run_id}")["state"] == "cancelled"


def test_one_stream_for_all_runs_takes_no_thread_and_ends_with_its_client(
    server: LocalServer, told: tuple[str, list[Event]]
) -> None:
    heard: dict[str, list[str]] = {}
    with connection(server) as opened:
        opened.request("GET", "/api/events?runs=all&events=state,metric")
        answer = opened.getresponse()
        began = [server.client.post("/api/train", LONG)["run_id"] for _ in range(2)]
        while [heard.get(run_id, [""])[-1] for run_id in began] != ["succeeded"] * 2:
            line = answer.readline()
            if line.startswith(b"data: "):
                data = json.loads(line[6:])
                heard.setdefault(data["run_id"], []).append(data.get("state", "metric"))
        assert server.client.get("/api/health")["event_streams"] == 1
    eventually(lambda: server.client.get("/api/health")["event_streams"] == 0)
    assert all(heard[run_id].count("metric") == EPOCHS for run_id in began) and told[0] not in heard
    with connection(server) as opened:
        opened.request("GET", f"/api/events?runs={told[0]},{','.join(began)}")
        history = opened.getresponse().read()
    with connection(server) as opened:  # as many as fit into the first line of a request
        opened.request("GET", f"/api/events?runs={','.join([*began, *(f'r_{number:032x}' for number in range(198))])}")
        answer = opened.getresponse()
        assert answer.status == 404 and f"There is no run 'r_{0:032x}'" in answered(answer)["error"]
    assert history.count(b"\nevent: metric\n") == 3 * EPOCHS and history.count(b'"state":"succeeded"') == 3


@pytest.mark.parametrize("size", [9, 100])
@pytest.mark.parametrize(
    ("path", "status", "reason"),
    [("/api/train", 413, "limit of 8 MB"), ("/api/infer", 413, "limit of 8 MB"), ("/api/nowhere", 404, "no endpoint")],
)
def test_a_client_can_read_why_its_body_is_not_read(
    server: LocalServer, path: str, status: int, reason: str, size: int
) -> None:
    with connection(server) as opened:
        opened.request("POST", path, body=b" " * (size << 20), headers=JSON)
        answer = opened.getresponse()
        assert answer.status == status and reason in answered(answer)["error"]
        opened.request("GET", "/api/health")
        assert opened.getresponse().status == 200


def test_a_chunked_body_is_bounded_as_well(server: LocalServer) -> None:
    def chunks(count: int) -> Iterator[bytes]:
        yield from [b" " * (1 << 20)] * count

    with connection(server) as opened:
        opened.request("POST", "/api/train", body=chunks(40), headers=JSON, encode_chunked=True)
        answer = opened.getresponse()
        assert answer.status == 413 and "8 MB" in answered(answer)["error"]
    with connection(server) as opened:
        opened.request("POST", "/api/train", body=chunks(2), headers=JSON, encode_chunked=True)
        answer = opened.getresponse()
        assert answer.status == 400 and "Malformed JSON" in answered(answer)["error"]


def test_who_only_announces_a_large_body_is_answered_too(server: LocalServer) -> None:
    head = b"POST /api/train HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99999999999\r\n\r\n{"
    with raw(server, head) as opened:
        assert opened.recv(4096).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize("body", [b"zz\r\nnonsense", b"5\r\nab"])
def test_a_broken_body_is_no_bug_of_ours(server: LocalServer, body: bytes) -> None:
    head = b"POST /api/train HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    with raw(server, head + body) as opened:
        opened.shutdown(socket.SHUT_WR)
        received = b"".join(iter(lambda: opened.recv(4096), b""))
    assert received.startswith(b"HTTP/1.1 400") and b'"error"' in received


def test_a_client_that_leaves_in_the_middle_of_its_body_harms_nobody(server: LocalServer) -> None:
    head = (
        b"POST /api/train HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    )
    with raw(server, head):
        pass
    eventually(lambda: any("POST /api/train 400" in line for line in list(server.lines)))
    assert server.client.get("/api/health")["status"] == "ok"


@pytest.mark.slow
def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    with LocalServer(settings(tmp_path, port=free_port(first=0))) as server:
        server.wait_until_healthy()
        run_id = server.client.post("/api/train", LONG)["run_id"]
        events = stream(server, run_id)
        paths = ("/api/models", f"/api/runs/{run_id}", f"/api/runs/{run_id}/metrics")
        question = {"run_id": run_id, "pixels": [0.5] * 784}
        server.client.post("/api/models/save", {"run_id": run_id, "name": "kept"})
        before = [server.client.get(path) for path in paths], server.client.post("/api/infer", question)
        assert server.stop() == 0

    app = offline_app(tmp_path)
    try:
        client = app.test_client()
        assert ([client.get(path).json for path in paths], client.post("/api/infer", json=question).json) == before
        frames = client.get(f"/api/runs/{run_id}/events").data.split(b"\n\n")[1:-1]
        assert [read_frame(frame + b"\n\n") for frame in frames] == events
        again = client.post("/api/train", json=BODY)
        assert again.status_code == 202 and finish(client, again.json["run_id"])["state"] == "succeeded"
    finally:
        parts(app).close()
