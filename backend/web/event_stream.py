"""An event log as an HTTP response: Server-Sent Events."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from flask import Response, request

from backend.errors import ApiError, not_found
from backend.events import cursor
from backend.events.benchmark_log import BenchmarkLog
from backend.events.capacity import Places
from backend.events.log import EventLog
from backend.events.source import Source
from backend.events.ticks import END
from backend.parsing.queries import BenchmarkEvents, RunEvents, RunsEvents, Stream
from backend.state.errors import UnknownRecord
from backend.web.environ import HANDED_OVER

logger = logging.getLogger("lamina.http")

# no-transform: proxies of development servers compress what may be transformed, and keep it until they have enough.
HEADERS = {"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no", "Connection": "keep-alive"}


def ids_told(query: Stream) -> list[str]:
    """What may be the id of the last event that a client has which comes back.

    The header, else the query, where clients put it that can set no header. A browser's own EventSource keeps the
    query that a page began with, and sends the header when it comes back: the header is the newer one.
    """
    return [told for told in (request.headers.get("Last-Event-ID"), query.lastEventId, query.last_event_id) if told]


def last_number(query: Stream) -> int:
    """That of the events of one run; 0 for a new client, and for an id that is none of ours."""
    return next((int(told) for told in ids_told(query) if re.fullmatch(r"[0-9]{1,18}", told)), 0)


@dataclass(frozen=True)
class EventStreams:
    """The event streams of all runs and benchmarks. `places`: of streams that are open.

    Each answers with a stream; with 204 to a client that has the last event, with 503 where no place is left.
    """

    log: EventLog
    benchmarks: BenchmarkLog
    places: Places

    def of_run(self, run_id: str, query: RunEvents) -> Response:
        """Events of a run, until it ends."""
        after = last_number(query)
        return self._answer(
            lambda: self.log.follow(run_id, after=after, kinds=query.events),
            done=self.log.finished(run_id, after),
            instead=f"poll /api/runs/{run_id}/metrics instead",
        )

    def of_benchmark(self, benchmark_id: str, query: BenchmarkEvents) -> Response:
        """Events of a benchmark, until it ends."""
        after = last_number(query)
        return self._answer(
            lambda: self.benchmarks.follow(benchmark_id, after=after, kinds=query.events),
            done=self.benchmarks.finished(benchmark_id, after),
            instead=f"poll /api/benchmarks/{benchmark_id} instead",
        )

    def of_runs(self, query: RunsEvents) -> Response:
        """Events of some runs, until all have ended, or of all. 404 for a run that there is not."""
        known = cursor.first_of(ids_told(query))
        instead = "poll /api/runs instead"
        if not query.runs:
            return self._answer(lambda: self.log.follow_all(known, kinds=query.events), done=False, instead=instead)
        try:
            return self._answer(
                lambda: self.log.follow_named(query.runs, known, kinds=query.events),
                done=self.log.finished_named(query.runs, known),
                instead=instead,
            )
        except UnknownRecord as unknown:
            raise not_found("run", str(unknown), listing="/api/runs") from None

    def test(self, query: Stream) -> Response:
        """Ticks."""
        after = last_number(query)
        return self._answer(lambda: self.log.test(after=after), done=after == END, instead="close others")

    def _answer(self, follow: Callable[[], Source], *, done: bool, instead: str) -> Response:
        """`follow`: begins the stream. `done`: the client has its last event. `instead`: a cure where all are taken."""
        if done:
            nothing = Response(status=204)
            del nothing.headers["Content-Type"]
            return nothing
        if request.method == "HEAD":  # would never be iterated, and so never closed
            return Response(iter(()), mimetype="text/event-stream", headers=HEADERS)  # an iterator: no length is told
        if not self.places.take():
            message = f"All {self.places.most} event streams are in use; {instead}, or try again later"
            raise ApiError(503, message, headers={"Retry-After": "5"})
        try:
            source = follow()
        except BaseException:
            self.places.give_back()
            raise
        if HANDED_OVER in request.environ:
            request.environ[HANDED_OVER].append(source)
        return self._closing(Response(source, mimetype="text/event-stream", headers=HEADERS), source)

    def _closing(self, response: Response, source: Source) -> Response:
        """Give the place back, and log, when the stream closes: at its end, or when the client is gone."""
        opened, path = time.monotonic(), request.path

        @response.call_on_close
        def closed() -> None:
            self.log.leave(source)
            self.places.give_back()
            logger.info("GET %s closed after %.1f s: %s", path, time.monotonic() - opened, source.subject)

        return response
