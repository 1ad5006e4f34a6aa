"""Bodies of requests: refused by their heads, bounded, and never waited for by a thread."""

from __future__ import annotations

import gzip
import http.client
import json
import math
import random
import re
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from http.client import HTTPMessage
from pathlib import Path
from typing import NamedTuple

import pytest
from flask.testing import FlaskClient

from backend.config import Settings
from backend.demo.local_server import LocalServer, free_port
from backend.server.connections import ROOM, always_served
from backend.web.incoming import GRACE_SECONDS, SMALL, BadChunks, Chunks, Failure, Incoming, Room, unzipped
from tests.load.clients import Footprint, connect, port_of, worker_of

TOKEN = "a-secret-of-some-length"
MEGABYTES = 31
SLOW = 90  # more than all places and the spare threads
HOST = b"Host: 127.0.0.1\r\n"
BEARER = f"Authorization: Bearer {TOKEN}\r\n".encode()
JSON = b"Content-Type: application/json\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    place = tmp_path_factory.mktemp("bodies")
    settings = Settings(port=free_port(first=0), state_dir=place / "s", data_dir=place / "d", token=TOKEN)
    with LocalServer(settings) as running:
        running.wait_until_healthy()
        yield running


def head(line: str, *headers: bytes, length: int | None = None) -> bytes:
    framing = b"Transfer-Encoding: chunked\r\n" if length is None else f"Content-Length: {length}\r\n".encode()
    return f"{line} HTTP/1.1\r\n".encode() + HOST + b"".join(headers) + framing + b"\r\n"


class Answer(NamedTuple):
    status: int
    headers: HTTPMessage
    body: bytes


def answer(connection: socket.socket) -> Answer:
    """A whole answer: one that is dropped half read keeps its socket open until the garbage collector finds it."""
    with closing(http.client.HTTPResponse(connection)) as response:
        response.begin()
        return Answer(response.status, response.headers, response.read())


def told(answer: Answer) -> str:
    return str(json.loads(answer.body)["error"])


@pytest.mark.timed
@pytest.mark.parametrize("authorized", [False, True], ids=["strangers", "users"])
@pytest.mark.parametrize("line", ["POST /api/health", "POST /api/models"])
def test_slow_bodies_hold_no_thread(server: LocalServer, line: str, authorized: bool) -> None:
    with ExitStack() as stack:
        for number in range(SLOW):
            sender = stack.enter_context(connect(port_of(server)))
            headers = (BEARER, JSON) if authorized else (JSON,)
            sender.sendall(head(line, *headers, length=1_000_000 if number % 2 else None) + b"5\r\n{")
        began = time.monotonic()
        assert server.client.get("/api/health")["status"] == "ok"
        assert server.client.post("/api/models", {"name": "others are slow"})["name"] == "others are slow"
        assert server.client.get("/api/models")
        assert time.monotonic() - began < 2.0


@pytest.mark.parametrize(
    ("line", "headers", "status"),
    [
        ("POST /api/train", (JSON,), 401),
        ("POST /api/train", (BEARER, JSON, b"Origin: https://evil.example\r\n"), 403),
        ("POST /api/nowhere", (BEARER, JSON), 404),
        ("POST /api/health", (BEARER, JSON), 405),
        ("GET /api/models", (BEARER, JSON), 400),
        ("DELETE /api/models/m_1", (BEARER, JSON), 400),
        ("OPTIONS /api/models", (BEARER, JSON), 400),
        ("POST /api/train", (BEARER,), 415),
        ("POST /api/train", (BEARER, JSON, b"Content-Encoding: br\r\n"), 415),
    ],
)
@pytest.mark.parametrize("length", [100, MEGABYTES << 20, None])
def test_what_the_head_says_is_refused_before_the_body(
    server: LocalServer, line: str, headers: tuple[bytes, ...], status: int, length: int | None
) -> None:
    if length is None and status == 415:
        headers = (*headers, b"Transfer-Encoding: gzip\r\n")  # an empty one would need no type
    with connect(port_of(server)) as sender:
        sender.sendall(head(line, *headers, b"Expect: 100-continue\r\n", length=length))
        refused = answer(sender)
        assert (refused.status, refused.headers["Connection"]) == (status, "close"), refused.body
        assert refused.headers["Content-Type"] == "application/json"


def test_refused_bodies_leave_no_memory_behind(server: LocalServer) -> None:
    """And each client can send all of it, and then read why."""
    before = Footprint.of(worker_of(server)).megabytes
    body = bytes(MEGABYTES << 20)
    with ExitStack() as stack:
        senders = [stack.enter_context(connect(port_of(server))) for _ in range(8)]
        for sender in senders:
            sender.sendall(head("POST /api/train", JSON, length=len(body)) + body)
        assert [answer(sender).status for sender in senders] == [401] * len(senders)
    assert Footprint.of(worker_of(server)).megabytes < before + MEGABYTES


@pytest.mark.parametrize("headers", [(JSON,), (JSON, b"Content-Length: 0\r\n"), (b"Content-Length: 0\r\n",)])
def test_a_head_without_a_body_may_say_so(server: LocalServer, headers: tuple[bytes, ...]) -> None:
    for line, status in (("GET /api/models", 200), ("GET /api/health", 200), ("POST /api/train/r_1/cancel", 404)):
        with connect(port_of(server)) as sender:
            sender.sendall(f"{line} HTTP/1.1\r\n".encode() + HOST + BEARER + b"".join(headers) + b"\r\n")
            assert answer(sender).status == status


def test_an_empty_body_in_chunks_is_none(server: LocalServer) -> None:
    """Node's proxies send one with a request that has none."""
    for line, status in (("POST /api/train/r_1/cancel", 404), ("DELETE /api/models/m_1", 404)):
        with connect(port_of(server)) as sender:
            sender.sendall(head(line, BEARER) + b"0\r\n\r\n")
            assert answer(sender).status == status


def test_who_waits_to_be_asked_for_a_body_is_asked(server: LocalServer) -> None:
    for size in (10, SMALL + 1):
        with connect(port_of(server)) as sender:
            body = b"{}".ljust(size)
            sender.sendall(head("POST /api/models", BEARER, JSON, b"Expect: 100-continue\r\n", length=len(body)))
            asked = b""
            while not asked.endswith(b"\r\n\r\n"):
                asked += sender.recv(1)
            assert asked == b"HTTP/1.1 100 Continue\r\n\r\n"
            sender.sendall(body)
            assert answer(sender).status == 201


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("size", [2, 40_000, 300_000])
def test_requests_in_a_row_in_pieces_of_any_size(server: LocalServer, chunked: bool, size: int) -> None:
    body = b"{}".ljust(size)
    if chunked:
        sent = head("POST /api/models", BEARER, JSON) + b"".join(
            b"%x;ext=1\r\n%b\r\n" % (len(piece), piece) for piece in (body[:1], body[1:])
        )
        sent += b"0\r\nTrailer: x\r\n\r\n"
    else:
        sent = head("POST /api/models", BEARER, JSON, length=size) + body
    sent = 3 * sent + b"GET /api/health HTTP/1.1\r\n" + HOST + b"\r\n"
    cuts = sorted(random.Random(size).sample(range(1, len(sent)), 6))
    with connect(port_of(server)) as sender:
        for begin, end in zip([0, *cuts], [*cuts, len(sent)], strict=True):
            sender.sendall(sent[begin:end])
            time.sleep(0.005)
        received = b""
        while b'"status":"ok"' not in received:
            assert (data := sender.recv(1 << 16)), received
            received += data
    assert re.findall(rb"HTTP/1\.1 (\d+)", received) == [b"201"] * 3 + [b"200"]


def test_large_bodies_take_turns(tmp_path: Path) -> None:
    """Those for which there is no memory wait, unread, and harm nobody else."""
    settings = Settings(port=free_port(first=0), state_dir=tmp_path / "s", data_dir=tmp_path / "d", max_body_mb=1)
    with LocalServer(settings) as server, ExitStack() as stack:
        server.wait_until_healthy()
        body = b"{}".ljust(1 << 20)
        senders = [stack.enter_context(connect(port_of(server))) for _ in range(ROOM + 2)]
        for sender in senders:
            sender.sendall(head("POST /api/models", JSON, length=len(body)) + body[:-1])
        assert server.client.post("/api/models", {"name": "small"})["name"] == "small"
        for sender in senders:
            sender.sendall(body[-1:])
        assert [answer(sender).status for sender in senders] == [201] * len(senders)


@pytest.mark.slow
@pytest.mark.timed
def test_a_body_that_is_late_and_one_without_room(tmp_path: Path) -> None:
    settings = Settings(port=free_port(first=0), state_dir=tmp_path / "s", data_dir=tmp_path / "d", max_body_mb=1)
    with LocalServer(settings) as server, ExitStack() as stack:
        server.wait_until_healthy()
        senders = [stack.enter_context(connect(port_of(server))) for _ in range(2 * ROOM + 1)]
        began = time.monotonic()
        for sender in senders:
            sender.sendall(head("POST /api/models", JSON, length=1 << 20) + b"{")
        answers = [answer(sender) for sender in senders]
        assert time.monotonic() - began < GRACE_SECONDS + 5
        assert {answer.status for answer in answers} == {408, 503}
        assert all(answer.headers["Retry-After"] == "1" for answer in answers if answer.status == 503)
        assert server.client.post("/api/models", {"name": "x" * 100})["name"]


def test_only_what_is_served_quickly_is_always_served() -> None:
    assert always_served(b"GET /api/health HTTP/1.1\r\nHost: x\r\n\r\n")
    assert always_served(b"HEAD /metrics?x=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
    for other in (
        b"POST /api/health HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /api/health HTTP/1.1\r\nContent-Length: 10\r\n\r\n",
        b"GET /api/health HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n",
        b"GET /api/models HTTP/1.1\r\nHost: x\r\n\r\n",
    ):
        assert not always_served(other)


def test_chunks_are_read_alike_wherever_they_are_cut() -> None:
    body = b"{" + b"x" * 5000 + b"\r\n0\r\n\r\n}"
    sent = b"".join(b"%X\r\n%b\r\n" % (len(part), part) for part in (body[:1], body[1:4000], body[4000:]))
    sent += b'0 ;a="b"\r\nName: value\r\n\r\nGET / HTTP/1.1'
    generator = random.Random(5)
    for _ in range(300):
        cuts = sorted(generator.sample(range(1, len(sent)), generator.randint(0, 20)))
        chunks, into, rest = Chunks(), bytearray(), None
        for begin, end in zip([0, *cuts], [*cuts, len(sent)], strict=True):
            if rest is None:
                piece, rest = chunks.decode(sent[begin:end], most=10_000)
                into += piece
            else:
                rest += sent[begin:end]
        assert (bytes(into), rest) == (body, b"GET / HTTP/1.1")


@pytest.mark.parametrize(
    "sent",
    [
        *(b"\r\n", b"x\r\n", b"-1\r\n", b"0x5\r\n", b"5\n", b"5 5\r\n", b"1" * 13 + b"\r\n", b"5;\0\r\n", b"5" * 2000),
        *(b"1\r\nab\r\n", b"1\r\na\n", b"1\r\na0\r\n", b"0\r\nno colon\r\n", b"0\r\n bad: x\r\n", b"0\r\na: \0\r\n"),
        b"0\r\n" + b"a: b\r\n" * 2000,
    ],
)
def test_what_is_no_chunk_is_refused(sent: bytes) -> None:
    with pytest.raises(BadChunks):
        Chunks().decode(sent, most=1000)


def incoming(data: bytes, *, limit: int = 1 << 20, room: float = math.inf) -> Incoming:
    body = Incoming(None, len(data), limit, Room(room))
    body.feed(data)
    return body


def test_gzip_is_bounded_by_what_it_becomes() -> None:
    text = json.dumps(list(range(20_000))).encode()
    packed = gzip.compress(text)
    assert unzipped(incoming(packed)) == text
    for broken in (packed[:-1], packed[:100], packed + b"x", packed + packed, b"{}", packed.replace(b"\x8b", b"\x8c")):
        failure = unzipped(incoming(broken))
        assert isinstance(failure, Failure) and failure.status == 400
    bomb = unzipped(incoming(gzip.compress(bytes((1 << 20) + 1))))
    assert isinstance(bomb, Failure) and bomb.status == 413
    assert unzipped(incoming(gzip.compress(bytes(1 << 20)))) == bytes(1 << 20)
    crowded = unzipped(incoming(gzip.compress(bytes(1 << 20)), room=1000))
    assert isinstance(crowded, Failure) and crowded.status == 503
    assert unzipped(incoming(gzip.compress(b"{}"), room=0)) == b"{}"


def test_gzip_is_read_and_other_codings_are_named(client: FlaskClient) -> None:
    def post(data: bytes, coding: str) -> tuple[int, str]:
        headers = {"Content-Encoding": coding, "Content-Type": "application/json"}
        answer = client.post("/api/models", data=data, headers=headers)
        return answer.status_code, answer.get_json().get("error", "")

    for coding in ("gzip", "GZIP", "x-gzip"):
        assert post(gzip.compress(b'{"name": "packed"}'), coding) == (201, "")
    assert post(b'{"name": "plain"}', "identity") == (201, "")
    status, error = post(b"{}", "gzip")
    assert status == 400 and "gzip" in error
    for coding in ("br", "deflate", "zstd", "gzip, gzip", "x" * 1000):
        status, error = post(b"{}", coding)
        assert status == 415 and "must be gzip" in error and len(error) < 200
