"""One reader's way through the events of a run."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from backend.events.channel import Channel
from backend.events.wire import KEEP_ALIVE, RETRY, frame
from backend.state.store import Store

SEND_BUFFER = 64 << 10  # what the kernel holds for a client that does not read
PAGE = 200  # events that a replay holds in memory at once


class Follower(Iterator[bytes]):
    """One reader's way through the events of a run: history, then live, up to the last one or `EventLog.close()`."""

    send_buffer: int | None = SEND_BUFFER

    def __init__(
        self, store: Store, run_id: str, channel: Channel | None, *, cursor: int, last_id: int, keep_alive: float
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
