"""One stream for many runs: every event of each once, in the order of its run, whenever a client leaves and returns."""

from __future__ import annotations

import json
import random
import sqlite3
import threading
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from backend.events import cursor
from backend.events.channel import TAIL
from backend.events.cursor import Cursor, key_of
from backend.events.log import EventLog
from backend.events.several import Several
from backend.state.errors import UnknownRecord
from backend.state.records import Json
from backend.state.store import Store
from tests.backend.samples import DEADLINE, a_model, a_run, eventually

Told = tuple[str, str, Json]  # the id, the name and the data of an event


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "lamina.sqlite3")
    store.create_model(a_model())
    yield store
    store.close()


@pytest.fixture
def log(store: Store) -> Iterator[EventLog]:
    log = EventLog(store)
    yield log
    log.close()


class Client:
    """One that follows, and keeps what it was told, as an EventSource does."""

    def __init__(self, log: EventLog, *run_ids: str, last_id: str = "", kinds: tuple[str, ...] = ()) -> None:
        self.log, self.run_ids, self.kinds = log, run_ids, kinds
        self.last_id = last_id
        self.told: list[Told] = []
        self.connect(log)

    def connect(self, log: EventLog) -> None:
        """Anew, with the last id."""
        at = cursor.first_of([self.last_id])
        self.stream: Several = (
            log.follow_named(self.run_ids, at, kinds=self.kinds)
            if self.run_ids
            else log.follow_all(at, kinds=self.kinds)
        )

    def round(self, *, timeout: float = 0.0, most: int | None = None) -> bool:
        """Take what is new, `most` frames of it. Whether the stream goes on."""
        frames = self.stream.news(timeout)
        for frame in (frames or [])[:most]:
            self.take(frame)
        return frames is not None

    def take(self, frame: bytes) -> None:
        lines = dict(line.partition(": ")[::2] for line in frame.decode().split("\n") if line[:1] != ":")
        self.last_id = lines.get("id", self.last_id)
        if "event" in lines:
            self.told.append((self.last_id, lines["event"], json.loads(lines["data"])))

    def settle(self) -> None:
        """Take all that is there now."""
        self.round()
        while self.round() and self.stream.behind:
            pass

    def all(self) -> list[Told]:
        """All that is there now."""
        self.settle()
        told, self.told = self.told, []
        return told


def brief(told: list[Told]) -> list[tuple[str, str]]:
    """Run, and what happened."""
    return [(data["run_id"], data.get("state") or data.get("message") or name) for _, name, data in told]


def begin(log: EventLog, *run_ids: str) -> None:
    for run_id in run_ids:
        log.create(a_run(run_id), queue_position=None)


def say(log: EventLog, run_id: str, message: str) -> None:
    log.publish(run_id, "log", {"run_id": run_id, "message": message})


def cancel(log: EventLog, run_id: str) -> None:
    log.transition(run_id, "cancelled", resumable=True)


def resume(log: EventLog, run_id: str) -> None:
    log.resume(run_id, queued=True, queue_position=None)


def test_named_runs_have_one_stream_that_ends_with_the_last_of_them(log: EventLog) -> None:
    begin(log, "r_1", "r_2", "r_3")
    cancel(log, "r_1")
    client = Client(log, "r_1", "r_2")
    assert brief(client.all()) == [("r_1", "queued"), ("r_1", "cancelled"), ("r_2", "queued")]
    say(log, "r_2", "a")
    say(log, "r_3", "nobody asked")
    log.progress("r_2", {"run_id": "r_2", "fraction": 0.5})
    assert brief(client.all()) == [("r_2", "a"), ("r_2", "progress")]
    cancel(log, "r_2")
    assert brief(client.all()) == [("r_2", "cancelled")]
    assert not client.round()
    assert log.finished_named(client.run_ids, cursor.first_of([client.last_id]))


def test_named_runs_go_on_from_the_last_id_in_any_set_of_runs(log: EventLog) -> None:
    begin(log, "r_1", "r_2", "r_3")
    for run_id in ("r_1", "r_2", "r_3"):
        say(log, run_id, "a")
        cancel(log, run_id)
    everything = Client(log, "r_1", "r_2").all()
    for place, (last_id, _, _) in enumerate(everything):
        assert Client(log, "r_1", "r_2", last_id=last_id).all() == everything[place + 1 :]
    further = Client(log, "r_3", "r_2", "r_1", last_id=everything[-1][0]).all()
    assert brief(further) == [("r_3", "queued"), ("r_3", "a"), ("r_3", "cancelled")]


def test_an_id_that_is_none_of_ours_is_that_of_a_new_client(log: EventLog) -> None:
    begin(log, "r_1", "r_2")
    cancel(log, "r_1")
    new = Client(log, "r_1", "r_2").all()
    own = new[-1][0]
    odd = ["", "7", "x", "n", f"{own} ", f"{own}.", own[:-1] + ".", own.replace("n", "a", 1), "9" * 40, "n.Abcd", "é"]
    for last_id in (*odd, f"n.{key_of('r_1')}99999", f"n.{key_of('r_other')}3"):
        told = Client(log, "r_1", "r_2", last_id=last_id).all()
        assert brief(told) in (brief(new), brief(new)[2:]), last_id  # an id from the future hides nothing to come
    active = Client(log).all()
    foreign = [f"a.99.{key_of('r_1')}.0", f"a.1.{key_of('r_2')}.0", f"a.2.{key_of('r_2')}.77", "a.1.2.3", *odd]
    for last_id in foreign:
        assert brief(Client(log, last_id=last_id).all()) == brief(active) == [("r_2", "queued")], last_id


def test_a_named_run_that_there_is_not_is_told(log: EventLog) -> None:
    begin(log, "r_1")
    with pytest.raises(UnknownRecord, match="r_0"):
        log.follow_named(["r_1", "r_0"], Cursor())
    with pytest.raises(UnknownRecord, match="r_0"):
        log.finished_named(["r_1", "r_0"], Cursor())


def test_all_begins_with_what_is_active_and_hears_of_what_begins_or_is_resumed(log: EventLog) -> None:
    begin(log, "r_1", "r_2")
    cancel(log, "r_1")
    client = Client(log)
    assert brief(client.all()) == [("r_2", "queued")]
    begin(log, "r_3")
    say(log, "r_3", "a")
    resume(log, "r_1")
    cancel(log, "r_2")
    told = client.all()
    assert brief(told)[:2] == [("r_2", "cancelled"), ("r_1", "queued")] or len(told) == 4
    assert sorted(brief(told)) == [("r_1", "queued"), ("r_2", "cancelled"), ("r_3", "a"), ("r_3", "queued")]
    assert [data["resumed"] for _, _, data in told if data["run_id"] == "r_1"] == [True]
    for run_id in ("r_1", "r_3"):
        cancel(log, run_id)
    assert sorted(brief(client.all())) == [("r_1", "cancelled"), ("r_3", "cancelled")]
    assert client.round() and log._channels == {}, "it goes on where nothing is active"


def test_who_was_away_from_all_misses_nothing_and_hears_nothing_twice(log: EventLog, store: Store) -> None:
    begin(log, "r_ended", "r_ends", "r_resumed", "r_twice", "r_gone")
    for run_id in ("r_ended", "r_resumed", "r_twice", "r_gone"):
        cancel(log, run_id)
    client = Client(log)
    client.all()
    say(log, "r_ends", "last heard")
    client.all()
    # Meanwhile:
    cancel(log, "r_ends")
    begin(log, "r_new", "r_short")
    cancel(log, "r_short")
    for again in ("a", "b"):
        resume(log, "r_twice")
        say(log, "r_twice", again)
        cancel(log, "r_twice")
    resume(log, "r_resumed")
    for run_id in ("r_gone", "r_ended"):
        store.delete_run(run_id)
    client.connect(EventLog(store))  # the server was restarted, too
    told = client.all()
    assert sorted(brief(told)) == sorted(
        [
            ("r_ends", "cancelled"),
            *[("r_new", "queued"), ("r_short", "queued"), ("r_short", "cancelled")],
            *[("r_twice", "queued"), ("r_twice", "a"), ("r_twice", "interrupted")],
            *[("r_twice", "queued"), ("r_twice", "b"), ("r_twice", "cancelled")],
            ("r_resumed", "queued"),
        ]
    )
    client.connect(log)
    assert client.all() == []


def test_an_end_that_was_superseded_before_it_was_read_says_so(log: EventLog) -> None:
    begin(log, "r_1")
    clients = [Client(log), Client(log, "r_1")]
    for client in clients:
        client.all()
    cancel(log, "r_1")
    resume(log, "r_1")
    say(log, "r_1", "on")
    for client in clients:
        assert brief(client.all()) == [("r_1", "cancelled"), ("r_1", "queued"), ("r_1", "on")], "as it was then"
    for client in (Client(log), Client(log, "r_1", last_id=f"n.{key_of('r_1')}1")):
        told = client.all()
        assert brief(told)[-3:] == [("r_1", "interrupted"), ("r_1", "queued"), ("r_1", "on")]
        (*_, end, again, _) = (data for _, _, data in told)
        assert (end["superseded"], end["was"], again["resumed"]) == (True, "cancelled", True)


def test_who_leaves_before_anything_has_happened_misses_nothing_either(log: EventLog) -> None:
    client = Client(log)
    assert client.all() == [] != client.last_id
    begin(log, "r_1")
    cancel(log, "r_1")
    client.connect(log)
    assert brief(client.all()) == [("r_1", "queued"), ("r_1", "cancelled")]


def test_who_wants_some_kinds_gets_these_and_still_stands_where_the_others_are(log: EventLog) -> None:
    begin(log, "r_1")
    say(log, "r_1", "a")
    cancel(log, "r_1")
    client = Client(log, "r_1", kinds=("log",))
    assert brief(client.all()) == [("r_1", "a")]
    assert log.finished_named(["r_1"], cursor.first_of([client.last_id])), "it need not come back for the end"
    assert [frame for frame in log.follow("r_1", after=0, kinds=("log",)) if b"event: " in frame][0][:5] == b"id: 2"
    assert list(log.follow("r_1", after=0, kinds=("metric",)))[-1].startswith(b"id: 3\n: ")


def test_a_damaged_event_is_a_comment_that_names_its_run(log: EventLog, store: Store) -> None:
    begin(log, "r_1")
    say(log, "r_1", "a")
    cancel(log, "r_1")
    with store._write() as connection:
        connection.execute("UPDATE events SET data = '{}' WHERE id = 2")
    frames = list(log.follow_named(["r_1"], Cursor()))
    assert frames[2].endswith(b"\n: event 2 of run r_1 is damaged in the store and left out\n\n")


def test_runs_whose_keys_are_the_same_are_told_too_much_rather_than_too_little(
    log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.events.cursor.key_of", lambda run_id: "same")
    monkeypatch.setattr("backend.events.several.key_of", lambda run_id: "same")
    begin(log, "r_1", "r_2")
    client = Client(log, "r_1", "r_2")
    client.all()
    client.connect(log)
    assert brief(client.all()) == [("r_1", "queued"), ("r_2", "queued")]


def test_a_follower_far_behind_catches_up_from_the_store(log: EventLog) -> None:
    begin(log, "r_1", "r_2")
    client = Client(log)
    client.all()
    for number in range(TAIL + 9):
        say(log, "r_1", str(number))
    say(log, "r_2", "a")
    told = brief(client.all())
    assert [what for who, what in told if who == "r_1"] == [str(number) for number in range(TAIL + 9)]
    assert ("r_2", "a") in told


def test_the_end_of_the_server_ends_all_and_keeps_the_place_of_what_waits(log: EventLog, store: Store) -> None:
    begin(log, "r_1", "r_2")
    client = Client(log)
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(list, client.stream)
        cancel(log, "r_1")
        log.close()
        for frame in reading.result(DEADLINE):
            client.take(frame)
    told = brief(client.told)  # who follows only now is told run by run
    assert [what for who, what in told if who == "r_1"] == ["queued", "cancelled"]
    assert [what for who, what in told if who == "r_2"] == ["queued"]
    client.told = []
    later = EventLog(store)
    client.connect(later)
    assert client.all() == []
    say(later, "r_2", "after the restart")
    assert brief(client.all()) == [("r_2", "after the restart")]


class World:
    """Runs that begin, tell, end, are resumed and deleted by chance, and what all of them have told."""

    def __init__(self, log: EventLog, store: Store, chance: random.Random) -> None:
        self.log, self.store, self.chance = log, store, chance
        self.runs: dict[str, str] = {}  # by state
        self.events: dict[str, int] = defaultdict(int)  # how many each has
        self.born = 0

    def happen(self) -> None:
        deed = self.chance.choice(["begin", "say", "say", "say", "end", "end", "resume", "resume", "delete"])
        active = [run_id for run_id, state in self.runs.items() if state == "active"]
        ended = [run_id for run_id, state in self.runs.items() if state == "ended"]
        if deed == "begin" or not self.runs:
            self.born += 1
            begin(self.log, run_id := f"r_{self.born}")
            self.runs[run_id] = "active"
        elif deed in ("say", "end") and active:
            run_id = self.chance.choice(active)
            if deed == "say":
                say(self.log, run_id, "x")
            else:
                cancel(self.log, run_id)
                self.runs[run_id] = "ended"
        elif deed == "resume" and ended:
            run_id = self.chance.choice(ended)
            resume(self.log, run_id)
            self.runs[run_id] = "active"
        elif deed == "delete" and len(ended) > 2:
            run_id = self.chance.choice(ended)
            self.store.delete_run(run_id)
            del self.runs[run_id]
            return
        else:
            return
        self.events[run_id] += 1


@pytest.mark.parametrize("seed", range(2))
def test_by_chance_nothing_is_missed_and_nothing_told_twice(log: EventLog, store: Store, seed: int) -> None:
    """Clients that are cut off in the middle of anything and come back with the ids that they have got so far."""
    chance = random.Random(seed)
    world = World(log, store, chance)
    clients = [Client(log) for _ in range(4)]
    for client in clients:
        client.round()
    heard: list[dict[str, int]] = [defaultdict(int) for _ in clients]
    for _ in range(100):
        world.happen()
        client = chance.choice(clients)
        if chance.random() < 0.3:
            client.round()
            client.round(most=chance.randrange(4))
            client.connect(log)
        if chance.random() < 0.2:
            client.settle()
    for number, client in enumerate(clients):
        if number % 2:
            client.connect(EventLog(store))
        client.settle()
        for _, _, data in client.told:
            heard[number][data["run_id"]] += 1
        assert {run_id: heard[number][run_id] for run_id in world.runs} == {
            run_id: world.events[run_id] for run_id in world.runs
        }


def test_while_many_threads_tell(log: EventLog) -> None:
    def drive(run_id: str) -> None:
        begin(log, run_id)
        for again in range(3):
            for number in range(5):
                say(log, run_id, f"{again}.{number}")
                log.progress(run_id, {"run_id": run_id})
            cancel(log, run_id)
            if again < 2:
                resume(log, run_id)

    names = [f"r_{number}" for number in range(4)]
    client, done = Client(log), threading.Event()
    with ThreadPoolExecutor(5) as pool:

        def read() -> None:
            while not done.is_set():
                client.round(timeout=0.05)

        reading = pool.submit(read)
        list(pool.map(drive, names))
        done.set()
        reading.result(DEADLINE)
    kept = [(run_id, what) for run_id, what in brief(client.all()) if what != "progress"]
    ends = ("interrupted", "cancelled")
    for run_id in names:
        told = ["an end" if what in ends else what for who, what in kept if who == run_id]
        assert told == [
            each for again in range(3) for each in ("queued", *(f"{again}.{n}" for n in range(5)), "an end")
        ]
    assert log._channels == {}


def test_who_begins_to_follow_waits_for_no_write(log: EventLog, store: Store) -> None:
    """Another process may hold the store for long: requests that wait for that would take every thread."""
    begin(log, "r_1", "r_2")
    with closing(sqlite3.connect(store._path, isolation_level=None)) as other, ThreadPoolExecutor() as pool:
        other.execute("BEGIN IMMEDIATE")
        ending = pool.submit(cancel, log, "r_1")
        eventually(store._lock.locked, what="write that waits")
        begun = [pool.submit(Client, log, *names) for names in ([], ["r_1", "r_2"])]
        try:
            clients = [each.result(DEADLINE) for each in begun]
        finally:
            other.execute("ROLLBACK")
        ending.result(DEADLINE)
    for client in clients:
        assert sorted(brief(client.all())) == [("r_1", "cancelled"), ("r_1", "queued"), ("r_2", "queued")]


def test_who_comes_while_many_threads_tell_misses_nothing_and_hears_nothing_twice(log: EventLog) -> None:
    def drive(run_id: str) -> None:
        begin(log, run_id)
        for again in range(12):
            say(log, run_id, f"{again}")
            cancel(log, run_id)
            if again < 11:
                resume(log, run_id)

    names = [f"r_{number}" for number in range(3)]
    client, done = Client(log), threading.Event()
    with ThreadPoolExecutor(4) as pool:

        def read() -> None:
            while not done.is_set():
                client.round(timeout=0.002)
                client.round()
                client.connect(log)

        reading = pool.submit(read)
        list(pool.map(drive, names))
        done.set()
        reading.result(DEADLINE)
    kept = [
        (run_id, "an end" if what in ("interrupted", "cancelled") else what) for run_id, what in brief(client.all())
    ]
    once = [what for again in range(12) for what in ("queued", f"{again}", "an end")]
    assert {name: [what for run_id, what in kept if run_id == name] for name in names} == dict.fromkeys(names, once)


def test_what_is_written_down_has_happened_though_its_numbers_cannot_be_read(
    log: EventLog, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that is refused after it was written down would be queued for ever: nobody trains, cancels or deletes it."""

    def unreadable(*_: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    begin(log, "r_1")
    clients = [Client(log), Client(log, "r_1")]
    with monkeypatch.context() as patch:
        patch.setattr(store, "sequence", unreadable)
        patch.setattr(store, "bearings", unreadable)
        begin(log, "r_2")
        cancel(log, "r_1")
        resume(log, "r_1")
        told = [brief(client.all()) for client in clients]
    for each in told:
        assert [what for run_id, what in each if run_id == "r_1"] == ["queued", "interrupted", "queued"]
    assert ("r_2", "queued") in told[0]
    begin(log, "r_3")
    assert brief(clients[0].all()) == [("r_3", "queued")]
