"""The event log: what happens in runs, kept durably and told to whoever follows."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from backend.events.channel import Channel
from backend.events.follower import Follower
from backend.events.wire import encode, state_data
from backend.state.records import TERMINAL, Json, RunState
from backend.state.store import Store


class EventLog:
    """What happens in runs: durable events through the store, and one transient progress slot per followed run.

    Followers pull, each with its own cursor, so that a slow or vanished one costs nobody else anything.
    """

    def __init__(
        self,
        store: Store,
        *,
        keep_alive: float = 10.0,
        wake: Callable[[], None] = lambda: None,
        told: Callable[[str, Json, Json], None] = lambda name, data, fields: None,
    ) -> None:
        """`keep_alive`: seconds of silence before a comment; well under the contract's 15, for a late scheduler.

        `wake`: called whenever followers have something new, for one who serves many of them without waiting for each.
        `told`: called with the name and data of every event that is kept, and with what the run's record got with it.
        """
        self._store = store
        self._wake, self._told = wake, told
        self._keep_alive = keep_alive
        self._publishing = threading.Lock()  # ids reach the followers in the order in which they were given
        self._registry = threading.Lock()
        self._channels: dict[str, Channel] = {}  # of active runs that someone follows; gone with the terminal event
        self._closed = False

    def publish(self, run_id: str, name: str, data: Json, **fields: Any) -> int:
        """Append an event and change `fields` of its run, durably; then wake the followers. The event's id."""
        with self._publishing:
            event_id = self._store.append_event(run_id, name, data, **fields)
            self._told(name, data, fields)
            if channel := self._channel(run_id):
                channel.push(event_id, encode(name, data, event_id), last=False)
        return event_id

    def transition(self, run_id: str, state: RunState, **fields: Any) -> int:
        """Put a run into `state` with `fields`, durably; then wake the followers. `WrongState` as in the store."""
        told: dict[str, Any] = {name: fields.get(name) for name in ("error", "test_accuracy", "sample_predictions")}
        data = state_data(run_id, state, **told)
        with self._publishing:
            event_id = self._store.transition(run_id, state, data=data, **fields)
            self._told("state", data, fields)
            with self._registry:
                channel = self._channels.pop(run_id, None) if state in TERMINAL else self._channels.get(run_id)
            if channel:
                channel.push(event_id, encode("state", data, event_id), last=state in TERMINAL)
        return event_id

    def resume(self, run_id: str, *, queued: bool, queue_position: int | None, itself: bool = False) -> int:
        """Put a run that was cut off back into the queue, durably. `itself`, `WrongState`: as in the store."""
        data = state_data(run_id, "queued", queue_position=queue_position, resumed=True)
        with self._publishing:
            event_id = self._store.resume(run_id, data=data, queued=queued, itself=itself)
            if channel := self._channel(run_id):
                channel.push(event_id, encode("state", data, event_id), last=False)
        return event_id

    def move(self, places: Mapping[str, int]) -> None:
        """Tell runs in the queue their new places, durably."""
        data = {run_id: state_data(run_id, "queued", queue_position=place) for run_id, place in places.items()}
        with self._publishing:
            for run_id, event_id in (self._store.append_to_each("state", data) if data else {}).items():
                if channel := self._channel(run_id):
                    channel.push(event_id, encode("state", data[run_id], event_id), last=False)

    def progress(self, run_id: str, data: Json) -> None:
        """Show `data` to those who follow now; a later one replaces it, nobody gets it after the run's end."""
        if channel := self._channel(run_id):
            channel.show(encode("progress", data))

    def follow(self, run_id: str, *, after: int) -> Follower:
        """A reader of a run's events from the one after `after`. `UnknownRecord` if there is no such run."""
        channel, last_id = self._join(run_id)
        cursor = min(max(after, 0), last_id)  # an id from the future would hide what is still to come
        return Follower(self._store, run_id, channel, cursor=cursor, last_id=last_id, keep_alive=self._keep_alive)

    def finished(self, run_id: str, after: int) -> bool:
        """Whether a client that has event `after` has the terminal one already."""
        state, last_id = self._store.tail(run_id)
        return state in TERMINAL and after >= last_id

    def close(self) -> None:
        """End every follower as soon as it has sent what is there."""
        with self._registry:
            self._closed = True
            channels = list(self._channels.values())
            self._channels.clear()
        for channel in channels:
            channel.end()

    def _channel(self, run_id: str) -> Channel | None:
        with self._registry:
            return self._channels.get(run_id)

    def _join(self, run_id: str) -> tuple[Channel | None, int]:
        """The channel to follow, or None when nothing can come any more; and the newest id of the run."""
        with self._registry:
            # A terminal event that is committed after this look finds the channel made here, and ends it.
            state, last_id = self._store.tail(run_id)
            if state in TERMINAL or self._closed:
                return None, last_id
            return self._channels.setdefault(run_id, Channel(last_id, self._wake)), last_id
