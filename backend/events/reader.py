"""A way through the events of one run, or benchmark: history, then live."""

from __future__ import annotations

from typing import Protocol

from backend.events.channel import Channel
from backend.events.wire import Frame, frame
from backend.state.records import StoredEvent

PAGE = 200  # events that a replay holds in memory at once


class History(Protocol):
    """What has happened, by the id of a run or of a benchmark."""

    def events(self, identifier: str, /, after: int = 0, limit: int | None = None) -> list[StoredEvent]:
        """Those with an id above `after`, oldest first."""

    def tail(self, identifier: str, /) -> tuple[str, int]:
        """The state, and the id of the newest event; `UnknownRecord` for what there is not."""


class Reader:
    """Where somebody stands in the events of a run, or of a benchmark."""

    def __init__(
        self, store: History, run_id: str, channel: Channel | None, *, cursor: int, last_id: int, of: str = ""
    ) -> None:
        """`channel`: None when nothing can come any more. `of`: says of what an event that is damaged was one.

        `cursor`: the last event that is known already; an id from the future would hide what is to come.
        """
        self.run_id = run_id
        self._store, self._of = store, of
        self.cursor = min(max(cursor, 0), last_id)
        self._known = last_id  # up to here the store tells; what follows comes live
        self._follow(channel)

    def _follow(self, channel: Channel | None) -> None:
        self._channel = channel
        self._shown = channel.shown if channel else 0
        self._heard = -1
        self.ended = channel is None  # only what is known is left to tell

    def go_on(self, channel: Channel, last_id: int) -> None:
        """The run was resumed: follow it on its new channel, after what is still to tell of the old one."""
        self._follow(channel)
        self._known = max(self._known, last_id)

    @property
    def lags(self) -> bool:
        """Whether the store has more to tell."""
        return self.cursor < self._known

    @property
    def over(self) -> bool:
        """Whether all is told."""
        return self.ended and not self.lags

    @property
    def fresh(self) -> bool:
        """Whether `news` may have some. Cheap."""
        return self.lags or (self._channel is not None and not self.ended and self._channel.told != self._heard)

    def news(self, timeout: float = 0.0) -> list[Frame] | None:
        """Some events that are new, waiting for up to `timeout` seconds; none if nothing is, None after the end."""
        if self.lags and (frames := self._replay()):
            return frames
        if self.ended or self._channel is None:
            return None
        self._heard = self._channel.told  # before it is asked: what comes meanwhile is heard once more
        news = self._channel.wait(self.cursor, self._shown, timeout=timeout)
        self.ended, self._known = news.ended, max(self._known, news.last_id)
        if news.frames is None:
            return self._replay()
        self.cursor, self._shown = self._known, news.shown
        frames = [*news.frames, *([news.progress] if news.progress else [])]
        return None if self.ended and not frames else frames

    def _replay(self) -> list[Frame]:
        """A page of events from the store."""
        limit = min(PAGE, self._known - self.cursor)
        events = self._store.events(self.run_id, after=self.cursor, limit=limit)
        self.cursor = events[-1].id if events else self._known  # none: the run was deleted meanwhile
        return [frame(event.name, event.text, event.id, of=self._of) for event in events]
