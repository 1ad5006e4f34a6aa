"""What the worker and the application tell each other through the WSGI environment."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from backend.events.log import Follower

# In the WSGI environment of a server that can send streams by itself: a list, where the application puts the follower.
HANDED_OVER = "lamina.streams"
# Whether as many requests are served already as the settings allow.
CROWDED = "lamina.crowded"
# The body of the request: an Incoming.
INCOMING = "lamina.incoming"


class Parked(BaseException):
    """A request that may be answered, once its body is there. No Exception: no handler of errors is meant."""


class Stream(Exception):
    """An event stream that leaves gunicorn, which would keep a thread for it, before any of it is sent."""

    def __init__(self, follower: Follower, response: Any, close: Callable[[], None]) -> None:
        """`response`: gunicorn's, with status and headers. `close`: the application's, to be called at the end."""
        super().__init__(follower.run_id)
        self.follower, self.close = follower, close
        self.chunked, self.must_close = bool(response.chunked), bool(response.should_close())
        lines = [*response.default_headers(), *(f"{name}: {value}\r\n" for name, value in response.headers), "\r\n"]
        self.head = "".join(lines).encode("latin-1")
