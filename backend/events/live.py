"""The live end of many logs, be they of runs or of benchmarks: who follows one, and how it is told what is new."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from weakref import WeakSet

from backend.events.bell import Bell
from backend.events.channel import Channel
from backend.events.follower import Follower
from backend.events.reader import History, Reader
from backend.events.source import Source
from backend.events.wire import encode
from backend.state.records import Json


class Live:
    """Followers pull, each with its own cursor, so that a slow or vanished one costs nobody else anything."""

    kind: str  # of what it tells, in words
    kinds: Collection[str]  # of events
    ends: Collection[str]  # the states after which nothing follows

    def __init__(self, history: History, *, keep_alive: float, wake: Callable[[], None]) -> None:
        """`keep_alive`: seconds of silence before a comment; well under the contract's 15, for a late scheduler.

        `wake`: called whenever followers have something new, for one who serves many of them without waiting for each.
        """
        self._history = history
        self._keep_alive = keep_alive
        self._publishing = threading.Lock()  # ids reach the followers in the order in which they were given
        self._registry = threading.Lock()
        self._bell = Bell(wake)
        self._channels: dict[str, Channel] = {}  # of what is active and followed; gone with the terminal event
        self._sources: WeakSet[Source] = WeakSet()  # that have to be told of what begins, or of the end of the server
        self._closed = False

    def progress(self, identifier: str, data: Json) -> None:
        """Show `data` to those who follow now; a later one replaces it, nobody gets it after the end."""
        if channel := self._channel(identifier):
            channel.show(encode("progress", data))

    def follow(self, identifier: str, *, after: int, kinds: Collection[str] = ()) -> Follower:
        """A reader of the events from the one after `after`. `UnknownRecord` if there is no such run, or benchmark.

        `kinds`: the events that it wants, all if none is named; so in what follows.
        """
        with self._registry:
            channel, last_id = self._join(identifier)
        reader = Reader(self._history, identifier, channel, cursor=after, last_id=last_id)
        subject = f"{self.kind} {identifier}"
        return Follower(reader, subject, keep_alive=self._keep_alive, kinds=kinds, known=self.kinds)

    def finished(self, identifier: str, after: int) -> bool:
        """Whether a client that has event `after` has the terminal one already."""
        state, last_id = self._history.tail(identifier)
        return state in self.ends and after >= last_id

    def leave(self, source: Source) -> None:
        """Its client is gone."""
        with self._registry:
            self._sources.discard(source)

    def close(self) -> None:
        """End every follower as soon as it has sent what is there."""
        with self._registry:
            self._closed = True
            channels = list(self._channels.values())
            self._channels.clear()
            for source in self._sources:
                source.stop()
        for channel in channels:
            channel.end()
        self._bell.ring()

    def _channel(self, identifier: str) -> Channel | None:
        with self._registry:
            return self._channels.get(identifier)

    def _push(self, identifier: str, name: str, data: Json, event_id: int) -> None:
        """Tell those who follow of an event that is kept."""
        if channel := self._channel(identifier):
            channel.push(encode(name, data, event_id), last=False)

    def _push_state(self, identifier: str, state: str, data: Json, event_id: int) -> None:
        """The same of a state, after whose last nothing follows."""
        last = state in self.ends
        with self._registry:
            channel = self._channels.pop(identifier, None) if last else self._channels.get(identifier)
        if channel:
            channel.push(encode("state", data, event_id), last=last)

    def _join(self, identifier: str) -> tuple[Channel | None, int]:
        """The channel to follow, or None when nothing can come any more; and the newest id.

        The registry is locked: a terminal event that is committed after this look finds the channel, and ends it.
        """
        state, last_id = self._history.tail(identifier)
        if state in self.ends or self._closed:
            return None, last_id
        return self._channels.setdefault(identifier, Channel(last_id, self._bell.ring)), last_id
