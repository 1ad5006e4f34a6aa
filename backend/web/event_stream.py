"""An event log as an HTTP response: Server-Sent Events."""

from __future__ import annotations

import logging
import re
import time
from dataclasses import dataclass

from flask import Response, request

from backend.errors import ApiError
from backend.events.capacity import Places
from backend.events.log import EventLog
from backend.parsing.queries import Stream
from backend.web.environ import HANDED_OVER
from backend.web.query import asked

logger = logging.getLogger("lamina.http")

# no-transform: proxies of development servers compress what may be transformed, and keep it until they have enough.
HEADERS = {"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no", "Connection": "keep-alive"}


def last_event_id() -> int:
    """The Last-Event-ID of a client that comes back; 0 for a new one, and for an id that is none of ours.

    The header, else the query, where clients put it that can set no header. A browser's own EventSource keeps the
    query that a page began with, and sends the header when it comes back: the header is the newer one.
    """
    query = asked(Stream)
    told = (request.headers.get("Last-Event-ID"), query.lastEventId, query.last_event_id)
    return next((int(value) for value in told if value and re.fullmatch(r"[0-9]{1,18}", value)), 0)


@dataclass(frozen=True)
class EventStreams:
    """The event streams of all runs. `places`: of streams that are open."""

    log: EventLog
    places: Places

    def response(self, run_id: str, *, after: int) -> Response:
        """Events of a run after `after`, until it ends; 204 for a client that has the last one, 503 without a place."""
        if self.log.finished(run_id, after):
            nothing = Response(status=204)
            del nothing.headers["Content-Type"]
            return nothing
        if (
            request.method == "HEAD"
        ):  # would never be iterated, and so never closed; an iterator: its length is not told
            return Response(iter(()), mimetype="text/event-stream", headers=HEADERS)
        if not self.places.take():
            cure = f"poll /api/runs/{run_id}/metrics instead, or try again later"
            message = f"All {self.places.most} event streams are in use; {cure}"
            raise ApiError(503, message, headers={"Retry-After": "5"})
        try:
            follower = self.log.follow(run_id, after=after)
        except BaseException:
            self.places.give_back()
            raise
        if HANDED_OVER in request.environ:
            request.environ[HANDED_OVER].append(follower)
        return self._closing(Response(follower, mimetype="text/event-stream", headers=HEADERS), run_id)

    def _closing(self, response: Response, run_id: str) -> Response:
        """Give the place back, and log, when the stream closes: at its end, or when the client is gone."""
        opened = time.monotonic()

        @response.call_on_close
        def closed() -> None:
            self.places.give_back()
            seconds = time.monotonic() - opened
            logger.info("GET /api/runs/%s/events closed after %.1f s run=%s", run_id, seconds, run_id)

        return response
