"""/api/events: one stream for many runs, and one that tests the way to the client."""

from __future__ import annotations

from dataclasses import dataclass

from flask.typing import ResponseReturnValue

from backend.parsing.queries import RunsEvents, Stream
from backend.web.event_stream import EventStreams
from backend.web.query import asked
from backend.web.routes import route


@dataclass(frozen=True)
class EventRoutes:
    """Under /api."""

    event_streams: EventStreams

    @route("GET", "/events")
    def get_events_of_runs(self) -> ResponseReturnValue:
        """Server-Sent Events of some runs, until all have ended, or of all runs, in one stream."""
        return self.event_streams.of_runs(asked(RunsEvents))

    @route("GET", "/events/test")
    def get_test_events(self) -> ResponseReturnValue:
        """Ten events in five seconds, to see whether a proxy holds them back."""
        return self.event_streams.test(asked(Stream))
