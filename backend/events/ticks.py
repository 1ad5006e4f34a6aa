"""A stream that shows whether something on the way to the client holds events back."""

from __future__ import annotations

import time
from typing import Annotated

from typing_extensions import TypedDict

from backend.events.source import Source
from backend.events.wire import RETRY, encode
from backend.state.records import Told, utc_now

TICKS = 10
SECONDS = 0.5  # from one to the next
END = TICKS + 1  # the id of the last event
VERDICT = (
    "If the ticks came one by one, every half second, nothing between this server and you holds event streams back. "
    "If they arrived together, a proxy buffers; see backend/README.md#behind-a-proxy"
)


class TickEvent(TypedDict):
    """The data of `event: tick` of `GET /api/events/test`."""

    tick: int
    of: int
    seconds: Annotated[float, Told("Since the stream began, as the server sent it.")]
    time: Annotated[str, Told("When that was.")]


class EndEvent(TypedDict):
    """The data of `event: end` of `GET /api/events/test`."""

    ticks: int
    message: Annotated[str, Told("How to read what came.")]


class Ticks(Source):
    """Ten ticks in five seconds, and how to read them."""

    def __init__(self, *, after: int, keep_alive: float) -> None:
        """`after`: the tick that a client has which comes back."""
        super().__init__("the test", keep_alive)
        self._first = self._tick = after if 0 <= after < END else 0
        self._began = time.monotonic()
        self._begun = self._stopped = False

    @property
    def due(self) -> float:
        return self._began + (self._tick + 1 - self._first) * SECONDS

    @property
    def behind(self) -> bool:
        return not self._begun or self._stopped or self._tick >= TICKS

    def stop(self) -> None:
        self._stopped = True

    def news(self, timeout: float = 0.0) -> list[bytes] | None:
        if not self._begun:
            self._begun = True
            return [RETRY]
        if self._stopped or self._tick >= END:
            return None
        if self._tick < TICKS:
            if (left := self.due - time.monotonic()) > 0:
                time.sleep(min(left, timeout))  # only for who has a thread for it
            if time.monotonic() < self.due:
                return []
        return self._next()

    def _next(self) -> list[bytes]:
        self._tick += 1
        if self._tick == END:
            end: EndEvent = {"ticks": TICKS, "message": VERDICT}
            return [encode("end", dict(end), self._tick).whole]
        seconds = round(time.monotonic() - self._began, 3)
        data: TickEvent = {"tick": self._tick, "of": TICKS, "seconds": seconds, "time": utc_now()}
        return [encode("tick", dict(data), self._tick).whole]
