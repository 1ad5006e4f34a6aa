"""Server-Sent Events: read by the standard, followed over broken connections up to the end of the runs."""

from __future__ import annotations

import json
import random
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import requests

from backend.client.answers import TERMINAL
from backend.client.errors import Faulty, TimedOut, Unavailable, Unreachable
from backend.client.transport import Transport

Json = Any
LINE = re.compile(rb"\r\n|\n|\r(?!\Z)")  # a CR at the end may be half of a CRLF
PIECE = 1 << 16
SILENCE = 45.0  # seconds; the server breaks its silence every 10
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0


@dataclass(frozen=True)
class Event:
    """One event. `name`: "state", "metric", "step", "log" or "progress"; `id` is empty for one that is not kept."""

    name: str
    data: Json
    id: str = ""

    @property
    def run_id(self) -> str:
        """The run that it is about."""
        return str(self.data.get("run_id", "")) if isinstance(self.data, dict) else ""

    @property
    def ends(self) -> bool:
        """Whether it is the last of its run: none that was resumed later."""
        return self.name == "state" and self.data.get("state") in TERMINAL and not self.data.get("superseded")


@dataclass
class Reader:
    """Events out of the bytes of a stream, however they are cut. Source: the HTML standard, section 9.2.6."""

    rest: bytes = b""
    name: str = "message"
    ident: str = ""
    lines: list[str] = field(default_factory=list)

    def feed(self, piece: bytes) -> Iterator[Event]:
        """The events that a piece completes."""
        *lines, self.rest = LINE.split(self.rest + piece)
        for raw in lines:
            line = raw.decode("utf-8", "replace")
            key, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if not line:
                if self.lines:
                    yield Event(self.name, data_of("\n".join(self.lines)), self.ident)
                self.name, self.ident, self.lines = "message", "", []
            elif key == "event":
                self.name = value
            elif key == "id":
                self.ident = value
            elif key == "data":
                self.lines.append(value)


def data_of(text: str) -> Json:
    """The data of an event. Raises Faulty where it is no JSON."""
    try:
        return json.loads(text)
    except ValueError:
        raise Faulty(f"an event is no JSON: {text[:80]!r}") from None


@dataclass
class Follower:
    """Follows one stream to its end, over broken connections and restarts of the server.

    `runs`: ends once each of them has ended; None: when the server says that there is no more. `timeout`: seconds for
    all of it. `patience`: seconds without any server before it gives up; one that never answered is given up at once.
    """

    transport: Transport
    path: str
    query: dict[str, str]
    runs: set[str] | None
    last_id: str = ""
    timeout: float | None = None
    patience: float = 300.0

    def __post_init__(self) -> None:
        self.asked = frozenset(self.runs or ())

    @property
    def done(self) -> bool:
        """Whether every run that it waits for has ended."""
        return self.runs is not None and not self.runs

    def events(self) -> Iterator[Event]:
        """Each event once. Raises NotFound, Unreachable, TimedOut and the like."""
        deadline = None if self.timeout is None else time.monotonic() + self.timeout
        pause, met = FIRST_PAUSE, False
        lost: float | None = None  # since when there is no server
        while not self.done:
            try:
                for event in self._connected(deadline):
                    lost, met = None, True
                    if event is not None:
                        pause = FIRST_PAUSE
                        yield event
            except (Unreachable, Unavailable) as problem:
                if over(deadline):
                    raise self._too_long() from None
                lost = time.monotonic() if lost is None else lost
                waits = isinstance(problem, Unavailable) or met
                if not waits or time.monotonic() - lost >= self.patience:
                    raise
                wanted = max(pause, getattr(problem, "retry_after", None) or 0.0)
            except _Ended:
                return
            else:
                wanted = pause
            left = wanted if deadline is None else max(0.0, min(wanted, deadline - time.monotonic()))
            if not self.done:
                time.sleep(left * random.uniform(0.8, 1.0))
            pause = min(2 * pause, LONGEST_PAUSE)

    def _connected(self, deadline: float | None) -> Iterator[Event | None]:
        """What one connection tells; None for a sign of life. Raises _Ended where the server has no more."""
        if over(deadline):
            raise self._too_long()
        headers = {"Accept": "text/event-stream", "Accept-Encoding": "identity", "Cache-Control": "no-cache"}
        if self.last_id:
            headers["Last-Event-ID"] = self.last_id
        left = SILENCE if deadline is None else max(0.001, min(SILENCE, deadline - time.monotonic()))
        response = self.transport.send(
            "GET", self.path, query=self.query, headers=headers, stream=True, silence=left, again=False
        )
        with response, cut_off_at(deadline, response):
            if response.status_code == 204:
                raise _Ended
            if not response.headers.get("Content-Type", "").startswith("text/event-stream"):
                raise Faulty(f"{self.transport.place(response)} answered with no event stream; is the address right?")
            yield None
            yield from self._told(response)
        if over(deadline) and not self.done:
            raise self._too_long()

    def _told(self, response: requests.Response) -> Iterator[Event | None]:
        reader = Reader()
        while True:
            try:
                piece: bytes = response.raw.read1(PIECE)
            except Exception as reason:  # of urllib3, of TLS or of the system: the connection is gone in every case
                raise self.transport.lost(reason) from reason
            if not piece:
                return
            yield None
            for event in reader.feed(piece):
                self.last_id = event.id or self.last_id
                if self.runs is not None and event.name == "state":
                    # A run may have been resumed after an end: its next state says that it goes on.
                    self.runs = (self.runs | {event.run_id} & self.asked) - ({event.run_id} if event.ends else set())
                yield event
                if self.done:  # a proxy may keep the connection
                    return

    def _too_long(self) -> TimedOut:
        return TimedOut(f"not ended within {round(self.timeout or 0, 3):g} s; what runs on the server goes on")


class _Ended(Exception):
    """The server has told everything."""


def over(deadline: float | None) -> bool:
    """Whether a moment of the monotonic clock has passed."""
    return deadline is not None and time.monotonic() >= deadline


@contextmanager
def cut_off_at(deadline: float | None, response: requests.Response) -> Iterator[None]:
    """Ends a connection that is being read when the time is over: its reader finds the end."""
    if deadline is None:
        yield
        return
    timer = threading.Timer(max(0.0, deadline - time.monotonic()), hang_up(response))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def hang_up(response: requests.Response) -> Callable[[], None]:
    """A function that shuts the connection of a response down, from any thread."""

    def end() -> None:
        with suppress(OSError, ValueError), socket.socket(fileno=socket.dup(response.raw.fileno())) as connection:
            connection.shutdown(socket.SHUT_RDWR)

    return end
