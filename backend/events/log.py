"""The event log of a run: replay, follow, and the wire format of Server-Sent Events."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from backend.state.records import TERMINAL, UNREADABLE, Json, RunState
from backend.state.rows import dumps
from backend.state.store import Store

RETRY = b"retry: 3000\n\n"
KEEP_ALIVE = b": keep-alive\n\n"
PAGE = 200  # events that a replay holds in memory at once
TAIL = 64  # newest events that a channel keeps encoded; who is further behind reads from the store


def state_data(
    run_id: str,
    state: RunState,
    *,
    error: str | None = None,
    test_accuracy: float | None = None,
    sample_predictions: list[Json] | None = None,
    queue_position: int | None = None,
) -> Json:
    """The data of a `state` event: always the five keys of the contract, and the place in the queue if there is one."""
    data: Json = {
        "run_id": run_id,
        "state": state,
        "error": error,
        "test_accuracy": test_accuracy,
        "sample_predictions": sample_predictions,
    }
    return data if queue_position is None else {**data, "queue_position": queue_position}


def encode(name: str, data: Json, event_id: int | None = None) -> bytes:
    """One event on the wire; without an id it leaves the client's Last-Event-ID alone."""
    return frame(name, dumps(data), event_id)


def frame(name: str, text: str, event_id: int | None = None) -> bytes:
    """The same of data that is JSON already. An event that is damaged in the store is a comment."""
    if name == UNREADABLE:
        return f"id: {event_id}\n: event {event_id} is damaged in the store and left out\n\n".encode()
    head = "" if event_id is None else f"id: {event_id}\n"
    return f"{head}event: {name}\ndata: {text}\n\n".encode()


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
        self._channels: dict[str, _Channel] = {}  # of active runs that someone follows; gone with the terminal event
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
        told = {name: fields.get(name) for name in ("error", "test_accuracy", "sample_predictions")}
        data = state_data(run_id, state, **told)
        with self._publishing:
            event_id = self._store.transition(run_id, state, data=data, **fields)
            self._told("state", data, fields)
            with self._registry:
                channel = self._channels.pop(run_id, None) if state in TERMINAL else self._channels.get(run_id)
            if channel:
                channel.push(event_id, encode("state", data, event_id), last=state in TERMINAL)
        return event_id

    def resume(self, run_id: str, *, queued: bool, queue_position: int | None) -> int:
        """Put a run that was cut off back into the queue, durably. `WrongState` as in the store."""
        data = state_data(run_id, "queued", queue_position=queue_position)
        with self._publishing:
            event_id = self._store.resume(run_id, data=data, queued=queued)
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

    def _channel(self, run_id: str) -> _Channel | None:
        with self._registry:
            return self._channels.get(run_id)

    def _join(self, run_id: str) -> tuple[_Channel | None, int]:
        """The channel to follow, or None when nothing can come any more; and the newest id of the run."""
        with self._registry:
            # A terminal event that is committed after this look finds the channel made here, and ends it.
            state, last_id = self._store.tail(run_id)
            if state in TERMINAL or self._closed:
                return None, last_id
            return self._channels.setdefault(run_id, _Channel(last_id, self._wake)), last_id


class Follower(Iterator[bytes]):
    """One reader's way through the events of a run: history, then live, up to the last one or `EventLog.close()`."""

    def __init__(
        self, store: Store, run_id: str, channel: _Channel | None, *, cursor: int, last_id: int, keep_alive: float
    ) -> None:
        """`channel`: None when nothing can come any more."""
        self.run_id, self.keep_alive = run_id, keep_alive
        self._store, self._channel = store, channel
        self._cursor = cursor
        self._known = last_id  # up to here the store tells; what follows comes live
        self._shown = channel.shown if channel else 0
        self._begun, self._ended = False, channel is None
        self._waiting: deque[bytes] = deque()  # fetched, for who takes one frame at a time

    @property
    def behind(self) -> bool:
        """Whether there is more to tell at once."""
        return self._cursor < self._known or not self._begun or self._ended

    def __next__(self) -> bytes:
        """The next frame, as soon as there is one; silence is broken by comments."""
        if not self._waiting:
            frames = self.news(self.keep_alive)
            if frames is None:
                raise StopIteration
            self._waiting.extend(frames or [KEEP_ALIVE])
        return self._waiting.popleft()

    def news(self, timeout: float = 0.0) -> list[bytes] | None:
        """Some frames that are new, waiting for up to `timeout` seconds; none if nothing is, None after the end."""
        if not self._begun:
            self._begun = True
            return [RETRY]
        if self._cursor < self._known and (frames := self._replay()):
            return frames
        if self._ended or self._channel is None:
            return None
        news = self._channel.wait(self._cursor, self._shown, timeout=timeout)
        self._ended, self._known = news.ended, max(self._known, news.last_id)
        if news.frames is None:
            return self._replay()
        self._cursor, self._shown = self._known, news.shown
        frames = [*news.frames, *([news.progress] if news.progress else [])]
        return None if self._ended and not frames else frames

    def _replay(self) -> list[bytes]:
        """A page of events from the store."""
        limit = min(PAGE, self._known - self._cursor)
        events = self._store.events(self.run_id, after=self._cursor, limit=limit)
        self._cursor = events[-1].id if events else self._known  # none: the run was deleted meanwhile
        return [frame(event.name, event.text, event.id) for event in events]


@dataclass(frozen=True)
class _News:
    """What a follower has not seen. `frames`: None if it is so far behind that the store must tell."""

    frames: list[bytes] | None
    progress: bytes | None
    last_id: int
    shown: int
    ended: bool


class _Channel:
    """The live end of one run's log: its newest events, encoded once for all followers, and the progress slot."""

    def __init__(self, last_id: int, wake: Callable[[], None]) -> None:
        self._wake = wake
        self.shown = 0  # counts progress reports, so that each follower sends a report once
        self._condition = threading.Condition()
        self._last_id = last_id
        self._frames: deque[tuple[int, bytes]] = deque(maxlen=TAIL)  # consecutive ids, the newest is _last_id
        self._progress: bytes | None = None
        self._ended = False

    def push(self, event_id: int, frame: bytes, *, last: bool) -> None:
        with self._condition:
            self._frames.append((event_id, frame))
            self._last_id = event_id
            self._progress = None  # older than this event now
            self._ended = self._ended or last
            self._condition.notify_all()
        self._wake()

    def show(self, frame: bytes) -> None:
        with self._condition:
            if not self._ended:
                self._progress = frame
                self.shown += 1
                self._condition.notify_all()
        self._wake()

    def end(self) -> None:
        with self._condition:
            self._ended = True
            self._condition.notify_all()
        self._wake()

    def wait(self, cursor: int, shown: int, *, timeout: float) -> _News:
        """What came after `cursor` and `shown`; nothing after `timeout` seconds of silence."""

        def has_news() -> bool:
            fresh_progress = self._progress is not None and self.shown > shown
            return self._ended or self._last_id > cursor or fresh_progress

        with self._condition:
            self._condition.wait_for(has_news, timeout)
            frames = [frame for event_id, frame in self._frames if event_id > cursor]
            complete = len(frames) == max(0, self._last_id - cursor)
            progress = self._progress if self.shown > shown and not self._ended else None
            return _News(frames if complete else None, progress, self._last_id, self.shown, self._ended)
