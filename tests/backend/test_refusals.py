"""Requests that gunicorn refuses: by their kind, in the answer and in the log, and never by the words of the client."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from backend.config import Settings
from backend.demo.local_server import LocalServer, free_port
from tests.backend.samples import eventually
from tests.load.clients import connect, port_of

SECRET = "hunter2-is-a-secret"
HOST = "Host: 127.0.0.1\r\n"
SHAPES = {
    "no version": f"GET /api/runs/r_1/events?token={SECRET}\r\n{HOST}",
    "blank in the path": f"GET /api/runs/r 1/events?token={SECRET} HTTP/1.1\r\n{HOST}",
    "blank in the query": f"GET /api/runs/r_1/events?token={SECRET} x HTTP/1.1\r\n{HOST}",
    "raw UTF-8": f"GET /api/runs/\u00e9/events?token={SECRET} HTTP/1.1\r\n{HOST}",
    "version": f"GET /api/runs/r_1/events?token={SECRET} HTTP/9.9\r\n{HOST}",
    "version of words": f"GET / {SECRET}\r\n{HOST}",
    "lower-case method": f"get{SECRET} /api/models HTTP/1.1\r\n{HOST}",
    "method": f"{SECRET.upper()} /api/models HTTP/1.1\r\n{HOST}",
    "no colon": f"GET /api/models HTTP/1.1\r\n{HOST}Authorization Bearer {SECRET}\r\n",
    "blank before the colon": f"GET /api/models HTTP/1.1\r\n{HOST}Bearer {SECRET} : x\r\n",
    "no name": f"GET /api/models HTTP/1.1\r\n{HOST}: Bearer {SECRET}\r\n",
    "folded": f"GET /api/models HTTP/1.1\r\n{HOST}Authorization: Bearer\r\n {SECRET}\r\n",
    "control": f"GET /api/models HTTP/1.1\r\n{HOST}Authorization: Bearer \0{SECRET}\r\n",
    "expectation": f"GET /api/models HTTP/1.1\r\n{HOST}Expect: Bearer {SECRET}\r\n",
    "transfer coding": f"POST /api/models HTTP/1.1\r\n{HOST}Transfer-Encoding: {SECRET}\r\n",
    "length": f"POST /api/models HTTP/1.1\r\n{HOST}Content-Length: {SECRET}\r\n",
    "long line": f"GET /api/models?token={SECRET}{'x' * 9000} HTTP/1.1\r\n{HOST}",
    "long header": f"GET /api/models HTTP/1.1\r\n{HOST}Authorization: Bearer {SECRET}{'x' * 9000}\r\n",
    "many headers": f"GET /api/models HTTP/1.1\r\n{HOST}" + f"Authorization: Bearer {SECRET}\r\n" * 200,
    "bare line feeds": f"GET /api/models HTTP/1.1\nAuthorization: Bearer {SECRET}\n\r\n",
    "two hosts": f"GET /api/models HTTP/1.1\r\n{HOST}Host: {SECRET}\r\n",
    "authority": f"GET {SECRET}:80 HTTP/1.1\r\n{HOST}",
    "encoded query": f"GET /api/runs/r_1/events%3Ftoken={SECRET} HTTP/1.1\r\n{HOST}",
    "encoded twice": f"GET /api/runs/r_1%253Ftoken={SECRET} HTTP/1.1\r\n{HOST}",
    "wrong sign": f"GET /api/runs/r_1/events&token={SECRET} HTTP/1.1\r\n{HOST}",
    "in an id": f"GET /api/runs/r_1%3Ftoken={SECRET} HTTP/1.1\r\n{HOST}",
    "in a wrong method": f"PUT /api/models/m_1%3Ftoken={SECRET} HTTP/1.1\r\n{HOST}",
    "chunk": f"POST /api/models HTTP/1.1\r\n{HOST}Content-Type: application/json\r\n"
    f"Transfer-Encoding: chunked\r\n\r\n{SECRET}\r\n",
    "cut off": f"GET /api/runs/r_1/events?token={SECRET} HTTP/1.1\r\nAuthorization: Bearer {SECRET}",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    place = tmp_path_factory.mktemp("refusals")
    settings = Settings(port=free_port(first=0), state_dir=place / "s", data_dir=place / "d", log_level="debug")
    with LocalServer(settings) as running:
        running.wait_until_healthy()
        yield running


def refused(server: LocalServer, sent: bytes) -> bytes:
    with connect(port_of(server)) as sender:
        sender.sendall(sent)
        sender.shutdown(1)
        return b"".join(iter(lambda: sender.recv(4096), b""))


def test_no_words_of_a_refused_client_are_said_or_logged(server: LocalServer) -> None:
    for name, shape in SHAPES.items():
        answer = refused(server, shape.encode() + (b"" if name == "cut off" else b"\r\n"))
        head, _, body = answer.partition(b"\r\n\r\n")
        assert name == "cut off" or head.startswith(b"HTTP/1.1 4") or head.startswith(b"HTTP/1.1 501"), (name, answer)
        assert not body or isinstance(json.loads(body)["error"], str)
        assert SECRET.encode() not in answer.lower(), name
    server.client.get("/api/health")
    kind = "refused a request from 127.0.0.1: a header is malformed"
    eventually(lambda: any(kind in line for line in list(server.lines)), what=f"line {kind!r}")
    assert SECRET not in "\n".join(server.lines).lower()


def test_a_client_moves_neither_the_root_nor_the_scheme(server: LocalServer) -> None:
    """Whoever asks from this machine counts as a proxy for gunicorn, and may say so."""
    for header in ("SCRIPT_NAME: /api", "PATH_INFO: /api/health", "X-Forwarded-Proto: https\r\nX-Forwarded-Ssl: off"):
        answer = refused(server, f"GET /api/models HTTP/1.1\r\n{HOST}{header}\r\nConnection: close\r\n\r\n".encode())
        assert answer.startswith(b"HTTP/1.1 200") and answer.endswith(b"\r\n\r\n[]\n"), (header, answer)
