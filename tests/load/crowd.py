"""Many subscribers of one event stream in one thread of a process of their own, so that they cost little to play.

`python -m tests.load.crowd PORT PATH` takes orders on standard input, one a line, and answers each with a line of JSON:
`open N`: N subscribers, once all have their first event; `close`: all of them leave; `finish`: what each one got.
"""

from __future__ import annotations

import io
import json
import selectors
import socket
import sys
import time
from collections import Counter
from http.client import HTTPResponse
from typing import Any

REQUEST = "GET {} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\nConnection: close\r\n\r\n"
PATIENCE = 60.0


class Replay:
    """Received bytes in the place of a socket, for `http.client` to read."""

    def __init__(self, received: bytes) -> None:
        self.received = received

    def makefile(self, mode: str) -> io.BytesIO:
        return io.BytesIO(self.received)


def kept_events(received: bytes) -> tuple[str, ...]:
    """The numbered frames of a whole answer: what every subscriber must get, in order."""
    answer = HTTPResponse(Replay(received))  # type: ignore[arg-type]
    answer.begin()
    return tuple(frame for frame in answer.read().decode().split("\n\n") if frame.startswith("id: "))


class Crowd:
    """Subscribers and what they have received."""

    def __init__(self, port: int, path: str) -> None:
        self.port, self.request = port, REQUEST.format(path).encode()
        self.selector = selectors.DefaultSelector()
        self.received: dict[socket.socket, bytearray] = {}
        self.left = 0  # still open

    def open(self, count: int) -> dict[str, Any]:
        began = time.monotonic()
        for _ in range(count):
            connection = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
            connection.sendall(self.request)
            connection.setblocking(False)
            self.received[connection] = bytearray()
            self.selector.register(connection, selectors.EVENT_READ)
        self.left += count
        while not all(b"\nid: 1\n" in received for received in self.received.values()):
            self.listen(1.0)
            assert time.monotonic() - began < PATIENCE, "some get nothing"
        return {"open": self.left, "seconds": time.monotonic() - began}

    def listen(self, timeout: float) -> bool:
        """Take in what is there. Whether standard input has something to read."""
        ordered = False
        for key, _ in self.selector.select(timeout):
            if key.data == "orders":
                ordered = True
                continue
            connection = key.fileobj
            assert isinstance(connection, socket.socket)
            if received := connection.recv(1 << 16):
                self.received[connection] += received
            else:
                self.selector.unregister(connection)
                self.left -= 1
        return ordered

    def close(self) -> dict[str, Any]:
        for connection in self.received:
            if connection in self.selector.get_map():
                self.selector.unregister(connection)
            connection.close()
        self.received, self.left = {}, 0
        return {"open": 0}

    def finish(self) -> dict[str, Any]:
        """Listen until every stream has ended. `histories`: each different one, and how many got it."""
        until = time.monotonic() + PATIENCE
        while self.left:
            self.listen(1.0)
            assert time.monotonic() < until, f"{self.left} streams do not end"
        histories = Counter(kept_events(bytes(received)) for received in self.received.values())
        return {"histories": [{"events": events, "count": count} for events, count in histories.items()]}

    def obey(self) -> None:
        self.selector.register(sys.stdin, selectors.EVENT_READ, "orders")
        while True:
            while not self.listen(None):  # type: ignore[arg-type]
                pass
            order, *numbers = sys.stdin.readline().split() or ["leave"]
            if order == "leave":
                return
            answer = {"open": self.open, "close": self.close, "finish": self.finish}[order](*map(int, numbers))
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    Crowd(int(sys.argv[1]), sys.argv[2]).obey()
