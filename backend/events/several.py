"""One client's stream of the events of many runs."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections import Counter, deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

from backend.events import cursor
from backend.events.bell import Bell
from backend.events.channel import Channel
from backend.events.cursor import Frontier, key_of
from backend.events.follower import Telling
from backend.events.reader import Reader
from backend.events.wire import RETRY, Frame, comment
from backend.state.histories import Histories


@dataclass(frozen=True)
class Arrival:
    """A run that begins or is resumed, and where it is followed. `before`: the last event before its new ones."""

    run_id: str
    sequence: int
    channel: Channel
    before: int


class Several(Telling):
    """Follows many runs at once. A round reads what is new of each, and says in each id how far all of it goes."""

    def __init__(
        self, subject: str, store: Histories, bell: Bell, *, keep_alive: float, kinds: Collection[str]
    ) -> None:
        super().__init__(subject, keep_alive, kinds)
        self._store, self._bell = store, bell
        self._readers: dict[str, Reader] = {}
        self._entries: dict[str, bytes] = {}  # of the cursor, by run
        self._head = cursor.head(None)
        self._arrived: deque[Arrival] = deque()
        self._met = False  # some of these after the last reading, and there is more to read
        self._stopped = False

    @abstractmethod
    def follows(self, run_id: str) -> bool:
        """Whether it tells of a run that begins or is resumed now."""

    @abstractmethod
    def _meet(self, arrival: Arrival) -> None:
        """Take in a run that begins or is resumed."""

    def _greeting(self) -> list[bytes]:
        """What a client gets before any event."""
        return []

    def _step(self) -> bool:
        """Turn to what comes after all that is told. Whether there is something."""
        return False

    def _settle(self) -> None:
        """Everything of a round is told."""

    @property
    @abstractmethod
    def _over(self) -> bool:
        """Whether nothing can come any more."""

    @property
    def behind(self) -> bool:
        fresh = any(reader.fresh for reader in self._readers.values())
        return not self._begun or self._met or fresh or self._over

    def arrive(self, arrival: Arrival) -> None:
        """A run that it follows begins, or is resumed. From any thread, before anything of it is told."""
        self._arrived.append(arrival)

    def stop(self) -> None:
        self._stopped = True

    def news(self, timeout: float = 0.0) -> list[bytes] | None:
        if not self._begun:
            self._begun = True
            return [RETRY, *self._greeting()]
        until = time.monotonic() + timeout
        while True:
            rung = self._bell.rung
            if sent := self._round():
                return sent
            if self._over:
                return None
            if self._met:
                continue
            if (left := until - time.monotonic()) <= 0:
                return []
            self._bell.wait(rung, left)

    def _round(self) -> list[bytes]:
        told = self._read()
        while not told and self._step():
            told = self._read()
        sent = self._sent(told)
        self._settle()
        return sent

    def _read(self) -> list[tuple[Reader, Frame]]:
        """What is new: live, and a page of the history of one run."""
        told: list[tuple[Reader, Frame]] = []
        self._met = paged = False
        for reader in self._readers.values():
            if reader.fresh and not (paged and reader.lags):
                paged = paged or reader.lags
                told += [(reader, each) for each in reader.news() or ()]
        # After the reading: whatever came before an end or a resume that was read has arrived by now.
        while self._arrived:
            self._meet(self._arrived.popleft())
            self._met = True
        return told

    def _place(self, reader: Reader, event_id: int) -> bytes:
        self._entries[reader.run_id] = cursor.entry(reader.run_id, event_id)
        return self._here()

    def _here(self) -> bytes:
        """Where its client stands."""
        return self._head + b"".join(self._entries.values())

    def _add(self, run_id: str, channel: Channel | None, *, before: int, last_id: int) -> Reader:
        """Read a run from behind an event."""
        of = f" of run {run_id}"
        reader = Reader(self._store, run_id, channel, cursor=before, last_id=last_id, of=of)
        self._readers[run_id] = reader
        self._entries[run_id] = cursor.entry(run_id, reader.cursor)
        return reader


def places(run_ids: Collection[str], told: Mapping[str, int]) -> Mapping[str, int]:
    """The last event that a client has of each run that it names; none of those that share a key."""
    often = Counter(map(key_of, run_ids))
    return {run_id: told.get(key, 0) if often[key := key_of(run_id)] == 1 else 0 for run_id in run_ids}


class NamedRuns(Several):
    """Follows the runs that were named, until all of them have ended."""

    def __init__(
        self,
        runs: Mapping[str, tuple[Channel | None, int]],
        told: Mapping[str, int],
        store: Histories,
        bell: Bell,
        *,
        keep_alive: float,
        kinds: Collection[str],
    ) -> None:
        """`runs`: the channel, unless it has ended, and the newest id of each. `told`: as in a cursor."""
        super().__init__(f"{len(runs)} runs", store, bell, keep_alive=keep_alive, kinds=kinds)
        for run_id, before in places(runs, told).items():
            channel, last_id = runs[run_id]
            if not self._add(run_id, channel, before=before, last_id=last_id).cursor:
                del self._entries[run_id]  # which says nothing

    def follows(self, run_id: str) -> bool:
        return run_id in self._readers

    def _meet(self, arrival: Arrival) -> None:
        self._readers[arrival.run_id].go_on(arrival.channel, arrival.before)

    @property
    def _over(self) -> bool:
        return not self._arrived and all(reader.over for reader in self._readers.values())


class AllRuns(Several):
    """Follows every run that is active, begins or is resumed. It ends with the server alone.

    A client that comes back may have missed whole runs: these it is told one after the other, in their order.
    """

    def __init__(
        self,
        frontier: Frontier,
        store: Histories,
        bell: Bell,
        turn: Callable[[], int],
        *,
        up_to: int,
        keep_alive: float,
        kinds: Collection[str],
    ) -> None:
        """`turn`: the number of the last end or resume that was told. `up_to`: the newest run that there is."""
        super().__init__("all runs", store, bell, keep_alive=keep_alive, kinds=kinds)
        self._frontier, self._up_to, self._turn = frontier, up_to, turn
        self._ahead: dict[str, tuple[Channel, int]] = {}  # active runs that are not reached yet, with their newest ids
        self._looked = turn()
        self._passing: set[str] = set()  # runs that began and ended, once, while the client was away
        self._head = cursor.head(frontier)

    def follow(self, run_id: str, sequence: int, channel: Channel | None, *, before: int, last_id: int) -> None:
        """Tell of a run from behind an event, when its turn comes. `channel`: None if it has ended."""
        if sequence > self._frontier.newest:
            if channel:
                self._ahead[run_id] = channel, last_id
        else:
            self._add(run_id, channel, before=before, last_id=last_id)

    def follows(self, run_id: str) -> bool:
        return True

    def _meet(self, arrival: Arrival) -> None:
        run_id, channel, before = arrival.run_id, arrival.channel, arrival.before
        if reader := self._readers.get(run_id):
            reader.go_on(channel, before)
            return
        if self._frontier.newest >= self._up_to < arrival.sequence:  # past those that an import has put before it
            self._lead(replace(self._frontier, newest=arrival.sequence, key=key_of(run_id)))
        self._up_to = max(self._up_to, arrival.sequence)
        self.follow(run_id, arrival.sequence, channel, before=before, last_id=before)

    def _greeting(self) -> list[bytes]:
        """An id: also who leaves before there was any event misses nothing."""
        return [b"id: %b\n%b" % (self._here(), comment("all runs"))]

    def _step(self) -> bool:
        if self._frontier.newest >= self._up_to:
            return False
        found = self._store.next_run(after=self._frontier.newest, up_to=self._up_to)
        newest, run_id = (found.sequence, found.run_id) if found else (self._up_to, None)
        self._lead(replace(self._frontier, newest=newest, key=key_of(run_id)))
        if found:
            channel, last_id = self._ahead.pop(found.run_id, (None, found.last_id))
            self._passing |= set() if channel or found.resumes else {found.run_id}
            self._add(found.run_id, channel, before=0, last_id=last_id)
        return True

    def _settle(self) -> None:
        """What is over needs no entry any more, once all ends and resumes up to a number are told.

        That is the number from before the round. Those that have only ended since need none before that: of a run
        without an entry nothing but what follows a resume is news.
        """
        if self._stopped:
            return  # runs that wait for the next server are not over
        whole = not self.behind
        for run_id in [run_id for run_id, reader in self._readers.items() if reader.over]:
            if whole or run_id in self._passing:
                self._passing.discard(run_id)
                del self._readers[run_id], self._entries[run_id]
        if whole and self._looked != self._frontier.turn:
            self._lead(replace(self._frontier, turn=self._looked))

    def _read(self) -> list[tuple[Reader, Frame]]:
        self._looked = self._turn()
        return super()._read()

    def _lead(self, frontier: Frontier) -> None:
        self._frontier, self._head = frontier, cursor.head(frontier)

    @property
    def behind(self) -> bool:
        return super().behind or self._frontier.newest < self._up_to

    @property
    def _over(self) -> bool:
        return self._stopped and not self._arrived and all(reader.over for reader in self._readers.values())
