"""An event log as an HTTP response: Server-Sent Events."""

from __future__ import annotations

import logging
import re
import time
from typing import TYPE_CHECKING

from flask import Response, request

from backend.errors import ApiError
from backend.web.environ import HANDED_OVER

if TYPE_CHECKING:
    from backend.services import Services

logger = logging.getLogger("lamina.http")

# no-transform: proxies of development servers compress what may be transformed, and keep it until they have enough.
HEADERS = {"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no", "Connection": "keep-alive"}
LAST_EVENT_ID = ("lastEventId", "last_event_id")  # in the query


def last_event_id() -> int:
    """The Last-Event-ID of a client that comes back; 0 for a new one, and for an id that is none of ours.

    The header, else the query, where clients put it that can set no header. A browser's own EventSource keeps the
    query that a page began with, and sends the header when it comes back: the header is the newer one.
    """
    told = [request.headers.get("Last-Event-ID"), *(request.args.get(name) for name in LAST_EVENT_ID)]
    return next((int(value) for value in told if value and re.fullmatch(r"[0-9]{1,18}", value)), 0)


def event_stream(services: Services, run_id: str, *, after: int) -> Response:
    """Events of a run after `after`, until it ends. 503 when every place for a stream is taken."""
    if request.method == "HEAD":  # would never be iterated, and so never closed; an iterator: its length is not told
        return Response(iter(()), mimetype="text/event-stream", headers=HEADERS)
    if not services.streams.take():
        most = services.settings.max_streams
        cure = f"poll /api/runs/{run_id}/metrics instead, or try again later"
        raise ApiError(503, f"All {most} event streams are in use; {cure}", headers={"Retry-After": "5"})
    try:
        follower = services.log.follow(run_id, after=after)
    except BaseException:
        services.streams.give_back()
        raise
    if HANDED_OVER in request.environ:
        request.environ[HANDED_OVER].append(follower)
    return _closing(Response(follower, mimetype="text/event-stream", headers=HEADERS), services, run_id)


def _closing(response: Response, services: Services, run_id: str) -> Response:
    """Give the place back, and log, when the stream closes: at its end, or when the client is gone."""
    opened = time.monotonic()

    @response.call_on_close
    def closed() -> None:
        services.streams.give_back()
        seconds = time.monotonic() - opened
        logger.info("GET /api/runs/%s/events closed after %.1f s run=%s", run_id, seconds, run_id)

    return response
