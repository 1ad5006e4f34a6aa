"""Beyond `--threads` a request is refused at once, health always answers, and slow senders hold no thread."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress

import pytest

from backend.config import Settings
from backend.demo.local_server import LocalServer, free_port
from backend.server.connections import HEAD_SECONDS, SEND_SECONDS
from tests.backend.samples import eventually
from tests.load.clients import connect, port_of

THREADS = 3
SLOW_HEADS = 200
BURST = 100
HEAD = b"POST /api/models HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    place = tmp_path_factory.mktemp("limit")
    settings = Settings(port=free_port(first=0), state_dir=place / "s", data_dir=place / "d", threads=THREADS)
    with LocalServer(settings) as running:
        running.wait_until_healthy()
        yield running


def ask(server: LocalServer, path: str) -> tuple[http.client.HTTPResponse, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port_of(server), timeout=10)
    with closing(connection):
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer, answer.read()


def answers(server: LocalServer, path: str, status: int) -> bool:
    return ask(server, path)[0].status == status


@pytest.mark.slow
@pytest.mark.timed
def test_beyond_the_limit_a_clear_503_and_health_answers(server: LocalServer) -> None:
    layers = [{"type": "linear", "out": 10}, *[{"type": "dropout", "p": 0.1234567890123456}] * 250]
    for _ in range(400):
        server.client.post("/api/models", {"architecture": {"input_size": 784, "layers": layers}})
    with ExitStack() as stack:
        readers = [stack.enter_context(connect(port_of(server), receive_buffer=1024)) for _ in range(THREADS)]
        for reader in readers:  # who does not read: the answer is larger than what the system holds for it
            reader.sendall(b"GET /api/models HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        until = time.monotonic() + 10
        while answers(server, "/api/datasets", 200):
            assert time.monotonic() < until, "the limit is not reached"
        with ThreadPoolExecutor(50) as pool:  # more than there are spare threads
            asked = list(pool.map(lambda _: ask(server, "/api/datasets"), range(50)))
        for refused, text in asked:
            assert refused.status == 503 and refused.getheader("Retry-After") == "1"
            assert refused.getheader("Content-Type") == "application/json"
            assert json.loads(text)["error"].startswith(f"The server is busy with {THREADS} requests (--threads)")
        assert answers(server, "/api/health", 200)
        assert b"lamina_http_requests_total" in ask(server, "/metrics")[1]
    assert answers(server, "/api/datasets", 200)


def test_a_burst_waits_for_its_turn(server: LocalServer) -> None:
    with ExitStack() as stack:
        askers = [stack.enter_context(connect(port_of(server))) for _ in range(BURST)]
        for asker in askers:
            asker.sendall(b"GET /api/datasets HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert [asker.recv(12) for asker in askers] == [b"HTTP/1.1 200"] * BURST


def test_heads_that_do_not_end_hold_no_thread(server: LocalServer) -> None:
    with ExitStack() as stack:
        senders = [stack.enter_context(connect(port_of(server))) for _ in range(SLOW_HEADS)]
        for sender in senders:
            sender.sendall(HEAD)
        assert answers(server, "/api/models", 200)
        senders[0].sendall(b"\r\n{}")  # late is not too late
        assert senders[0].recv(100).startswith(b"HTTP/1.1 201")


def test_a_head_in_small_pieces_and_a_second_request_behind_it(server: LocalServer) -> None:
    request = b"GET /api/health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    with connect(port_of(server)) as sender:
        for piece in (request[:10], request[10:30], request[30:] + request):
            sender.sendall(piece)
            time.sleep(0.05)
        received = b""
        while received.count(b'"status":"ok"') < 2:
            assert (data := sender.recv(4096))
            received += data
        assert received.count(b"HTTP/1.1 200 OK") == 2


def test_a_connection_goes_on_after_a_stream(server: LocalServer) -> None:
    layers = [{"type": "linear", "in": 784, "out": 10}]
    hyperparams = {"epochs": 1, "max_samples": 128, "dataset_type": "digits"}
    body = {"architecture": {"input_size": 784, "layers": layers}, "hyperparams": hyperparams}
    path = server.client.post("/api/train", body)["events_url"]
    connection = http.client.HTTPConnection("127.0.0.1", port_of(server), timeout=30)
    with closing(connection):
        connection.request("GET", path)
        assert b'"state":"succeeded"' in connection.getresponse().read()
        kept: socket.socket = connection.sock
        connection.request("GET", "/api/health")
        assert connection.getresponse().status == 200 and connection.sock is kept


@pytest.mark.slow
@pytest.mark.timed
def test_who_takes_an_answer_drop_by_drop_holds_no_place_for_ever(server: LocalServer) -> None:
    """Some bytes every moment, so that no send ever waits for long."""
    for _ in range(300):
        server.client.post("/api/models", {"name": "long", "description": 10_000 * "x"})
    over = threading.Event()

    def sip(reader: socket.socket) -> None:
        with suppress(OSError):
            while not over.wait(0.2) and reader.recv(256):
                pass

    with ThreadPoolExecutor(THREADS) as pool, ExitStack() as stack:
        stack.callback(over.set)
        readers = [stack.enter_context(connect(port_of(server), receive_buffer=1024)) for _ in range(THREADS)]
        for reader in readers:
            reader.sendall(b"GET /api/models HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            pool.submit(sip, reader)
        eventually(lambda: not answers(server, "/api/datasets", 200), within=10)
        eventually(lambda: answers(server, "/api/datasets", 200), within=SEND_SECONDS + 15)
        over.set()


@pytest.mark.slow
@pytest.mark.timed
def test_a_head_that_never_ends_is_closed(server: LocalServer) -> None:
    with connect(port_of(server)) as sender:
        sender.sendall(HEAD)
        began = time.monotonic()
        assert sender.recv(100) == b""
        assert HEAD_SECONDS - 1 < time.monotonic() - began < HEAD_SECONDS + 5
