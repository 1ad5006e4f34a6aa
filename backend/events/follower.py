"""One client's stream of the events of runs."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterable

from backend.events.reader import Reader
from backend.events.source import Source
from backend.events.wire import RETRY, Frame, comment
from backend.state.records import EVENT_KINDS, UNREADABLE

LEFT_OUT = comment("events of other kinds are left out")


class Telling(Source):
    """Tells events of runs, of some kinds, each under an id that says how far all that was sent goes."""

    def __init__(
        self, subject: str, keep_alive: float, kinds: Collection[str], known: Collection[str] = EVENT_KINDS
    ) -> None:
        """`kinds`: those that are wanted of the `known` ones, all if none is named."""
        super().__init__(subject, keep_alive)
        self._kinds = {*(kinds or known), UNREADABLE}
        self._all = self._kinds.issuperset(known)
        self._begun = False

    @abstractmethod
    def _place(self, reader: Reader, event_id: int) -> bytes:
        """The id of an event of a run, which all before it were sent."""

    def _sent(self, told: Iterable[tuple[Reader, Frame]]) -> list[bytes]:
        """Events as they are sent. Where others follow the last of the wanted kinds, a comment has their id."""
        sent, place, left_out = [], b"", False
        for reader, each in told:
            wanted = each.kind in self._kinds
            if each.event_id is None:
                sent += [each.whole] if wanted else []
                continue
            place, left_out = self._place(reader, each.event_id), not wanted
            if wanted:
                sent.append(each.under(place))
        return [*sent, b"id: %b\n%b" % (place, LEFT_OUT)] if left_out else sent


class Follower(Telling):
    """One client's way through the events of a run, or of a benchmark: history, then live, up to the last one or
    `Live.close()`.
    """

    def __init__(
        self, reader: Reader, subject: str, *, keep_alive: float, kinds: Collection[str], known: Collection[str]
    ) -> None:
        super().__init__(subject, keep_alive, kinds, known)
        self._reader = reader

    @property
    def behind(self) -> bool:
        return not self._begun or self._reader.fresh or self._reader.ended

    def news(self, timeout: float = 0.0) -> list[bytes] | None:
        if not self._begun:
            self._begun = True
            return [RETRY]
        frames = self._reader.news(timeout)
        if frames is None:
            return None
        if self._all:  # as they were encoded, once for all who follow
            return [each.whole for each in frames]
        return self._sent((self._reader, each) for each in frames)

    def _place(self, reader: Reader, event_id: int) -> bytes:
        return b"%d" % event_id
