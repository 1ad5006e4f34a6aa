"""The event log: what happens in runs, kept durably and told to whoever follows."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from backend.events.channel import Channel
from backend.events.cursor import NO_KEY, Cursor, Frontier, key_of
from backend.events.live import Live
from backend.events.several import AllRuns, Arrival, NamedRuns, Several, places
from backend.events.ticks import Ticks
from backend.events.wire import Frame, encode, state_data
from backend.state.errors import UnknownRecord, UnreadableRecord
from backend.state.histories import Bearings, Track
from backend.state.records import EVENT_KINDS, TERMINAL, Json, RunRecord, RunState
from backend.state.store import Store

logger = logging.getLogger("lamina.runs")

# Told of a run that ends.
ENDS = ("error", "test_accuracy", "sample_predictions", "worst", "stopped_by", "target_reached")


class EventLog(Live):
    """What happens in runs: durable events through the store, and one transient progress slot per followed run."""

    kind, kinds, ends = "run", EVENT_KINDS, TERMINAL

    def __init__(
        self,
        store: Store,
        *,
        keep_alive: float = 10.0,
        wake: Callable[[], None] = lambda: None,
        told: Callable[[str, Json, Json], None] = lambda name, data, fields: None,
    ) -> None:
        """As of `Live`.

        `told`: called with the name and data of every event that is kept, and with what the run's record got with it.
        """
        super().__init__(store, keep_alive=keep_alive, wake=wake)
        self._store = store
        self._told = told
        self._turn = store.bearings().turn  # the last end or resume of a run that was told

    def create(self, record: RunRecord, *, queue_position: int | None) -> RunRecord:
        """Add a run that waits, durably; then tell those who follow all runs. As it is kept; raises as the store."""
        data = state_data(record.run_id, "queued", queue_position=queue_position)
        with self._publishing:
            record = self._store.create_run(record, data)
            self._begin(record.run_id, encode("state", data, 1))
        return record

    def publish(self, run_id: str, name: str, data: Json, **fields: Any) -> int:
        with self._publishing:
            event_id = self._store.append_event(run_id, name, data, **fields)
            self._told(name, data, fields)
            self._push(run_id, name, data, event_id)
        return event_id

    def publish_each(self, run_id: str, name: str, data: Sequence[Json]) -> None:
        """Several events of a run, kept in one transaction. Nothing of its record changes by them."""
        with self._publishing:
            for each, event_id in zip(data, self._store.append_events(run_id, name, data), strict=True):
                self._push(run_id, name, each, event_id)

    def transition(self, run_id: str, state: RunState, **fields: Any) -> int:
        """Put a run into `state` with `fields`, durably; then wake the followers. `WrongState` as in the store."""
        told: dict[str, Any] = {name: fields.get(name) for name in ENDS}
        data = state_data(run_id, state, **told)
        with self._publishing:
            event_id = self._store.transition(run_id, state, data=data, **fields)
            self._told("state", data, fields)
            self._push_state(run_id, state, data, event_id)
            if state in TERMINAL:
                self._take_turn()
        return event_id

    def resume(self, run_id: str, *, queued: bool, queue_position: int | None, itself: bool = False) -> int:
        """Put a run that was cut off back into the queue, durably. `itself`, `WrongState`: as in the store."""
        data = state_data(run_id, "queued", queue_position=queue_position, resumed=True)
        with self._publishing:
            event_id = self._store.resume(run_id, data=data, queued=queued, itself=itself)
            self._begin(run_id, encode("state", data, event_id))
            self._take_turn()
        return event_id

    def _begin(self, run_id: str, first: Frame) -> None:
        """Tell those who follow many runs of one that begins or is resumed, and all of its first event."""
        before = (first.event_id or 1) - 1
        with self._registry:
            many = [each for each in self._sources if isinstance(each, Several) and each.follows(run_id)]
            channel = self._channels.get(run_id)
            if many and not self._closed:
                channel = self._channels.setdefault(run_id, Channel(before, self._bell.ring))
                sequence = self._number(run_id)
                for each in many:
                    each.arrive(Arrival(run_id, sequence, channel, before))
        if channel:
            channel.push(first, last=False)

    # What is written down has happened: whoever tells of it never fails for want of a number

    def _number(self, run_id: str) -> int:
        """That of a run, for those who follow many; 0 where it cannot be read, and then they may be told twice."""
        try:
            return self._store.sequence(run_id)
        except (sqlite3.Error, UnknownRecord, UnreadableRecord):
            logger.exception("the number of run %s cannot be read", run_id)
            return 0

    def _take_turn(self) -> None:
        """After an end or a resume that was told. Of a lower one nobody misses anything."""
        try:
            self._turn = self._store.bearings().turn
        except sqlite3.Error:
            logger.exception("the number of the last end of a run cannot be read")

    def move(self, places: Mapping[str, int]) -> None:
        """Tell runs in the queue their new places, durably."""
        data = {run_id: state_data(run_id, "queued", queue_position=place) for run_id, place in places.items()}
        with self._publishing:
            for run_id, event_id in (self._store.append_to_each("state", data) if data else {}).items():
                self._push(run_id, "state", data[run_id], event_id)

    def follow_named(self, run_ids: Sequence[str], cursor: Cursor, *, kinds: Collection[str] = ()) -> NamedRuns:
        """A reader of the events of some runs, until all have ended. `UnknownRecord` names one that there is not."""
        with self._registry:
            runs = {run_id: self._join(run_id) for run_id in run_ids}
            named = NamedRuns(runs, cursor.told, self._store, self._bell, keep_alive=self._keep_alive, kinds=kinds)
            self._sources.add(named)
        return named

    def follow_all(self, cursor: Cursor, *, kinds: Collection[str] = ()) -> AllRuns:
        """A reader of the events of all runs that are active or will be, and of what a client missed of others."""
        with self._registry, self._store.moment():
            bearings = self._store.bearings()
            frontier = self._known(cursor.frontier, bearings)
            told: Mapping[str, int | None] = {} if cursor.frontier and not frontier else cursor.told
            newest = Frontier(bearings.newest, key_of(self._store.run_of(bearings.newest)), bearings.turn)
            follower = AllRuns(
                frontier or newest,
                self._store,
                self._bell,
                lambda: self._turn,
                up_to=bearings.newest,
                keep_alive=self._keep_alive,
                kinds=kinds,
            )
            for run in self._store.active():
                channel, last_id = self._join(run.run_id)
                before = told.get(key_of(run.run_id), _before_resume(run, frontier))
                follower.follow(run.run_id, run.sequence, channel, before=before or 0, last_id=last_id)
            for run in self._store.turned(since=frontier.turn, up_to=frontier.newest) if frontier else ():
                before = told.get(key_of(run.run_id), _before_resume(run, frontier))
                if before is not None and not run.active:  # else it has only ended, and the client knows
                    follower.follow(run.run_id, run.sequence, None, before=before, last_id=run.last_id)
            self._sources.add(follower)
            if self._closed:
                follower.stop()
        return follower

    def _known(self, frontier: Frontier | None, bearings: Bearings) -> Frontier | None:
        """Where a client stands that comes back; None for a new one, and for one that was elsewhere."""
        if frontier is None or frontier.newest > bearings.newest or frontier.turn > bearings.turn:
            return None
        run_id = self._store.run_of(frontier.newest)  # it may be deleted
        return frontier if run_id is None or frontier.key in (NO_KEY, key_of(run_id)) else None

    def test(self, *, after: int) -> Ticks:
        """Events that tell of nothing but their way to the client."""
        ticks = Ticks(after=after, keep_alive=self._keep_alive)
        with self._registry:
            self._sources.add(ticks)
        return ticks

    def finished_named(self, run_ids: Sequence[str], cursor: Cursor) -> bool:
        """The same of some runs; `UnknownRecord` names one that there is not."""
        tails = {run_id: self._store.tail(run_id) for run_id in run_ids}
        told = places(run_ids, cursor.told)
        return all(state in TERMINAL and told[run_id] >= last_id for run_id, (state, last_id) in tails.items())


def _before_resume(run: Track, frontier: Frontier | None) -> int | None:
    """The last event before a run was resumed for the first time since a client left; None if it was not."""
    since = [event_id - 1 for turn, event_id in run.resumes if frontier and turn > frontier.turn]
    return since[0] if since else None
