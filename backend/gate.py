"""How many requests are served at one time: beyond it a clear 503 at once, never a wait for a thread."""

from __future__ import annotations

from flask import Response, g, request

from backend.errors import ApiError
from backend.places import Places

ALWAYS = frozenset({"/api/health", "/metrics"})  # they tell how busy the server is
RETRY_SECONDS = 1


class Gate:
    """Counts requests in, and out when their answers are sent. An event stream leaves once it needs no thread."""

    def __init__(self, most: int) -> None:
        self._places = Places(most)

    def enter(self) -> None:
        """Before a request is looked at. Raises ApiError 503."""
        g.inside = False
        if request.path in ALWAYS:
            return
        if not self._places.take():
            raise ApiError(
                503,
                f"All {self._places.most} places for requests are taken (--threads); try again in {RETRY_SECONDS} s",
                # Its body is not read: nothing else can come on this connection.
                headers={"Retry-After": str(RETRY_SECONDS), "Connection": "close"},
            )
        g.inside = True

    def watch(self, response: Response) -> Response:
        """Give the place back when the answer is sent."""
        if g.inside:
            response.call_on_close(self._places.give_back)
        return response
