"""Every follower gets every event once, in order, the terminal one last, whenever it comes."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from backend.events.channel import TAIL
from backend.events.log import EventLog
from backend.events.wire import encode, state_data
from backend.state.errors import UnknownRecord, WrongState
from backend.state.records import Json
from backend.state.store import Store
from tests.backend.samples import DEADLINE, add_run, read_frame


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "lamina.sqlite3")
    yield store
    store.close()


@pytest.fixture
def log(store: Store) -> Iterator[EventLog]:
    log = EventLog(store)
    yield log
    log.close()


def read(log: EventLog, run_id: str = "r_1", after: int = 0) -> list[tuple[int | None, str, Json]]:
    """A stream to its end."""
    return [read_frame(frame) for frame in log.follow(run_id, after=after)]


def ids(frames: list[tuple[int | None, str, Json]]) -> list[int]:
    return [frame[0] for frame in frames if frame[0] is not None]


def test_the_wire_format() -> None:
    assert (
        encode("metric", {"a": 0.5, "b": "x\ny"}, 7).whole == b'id: 7\nevent: metric\ndata: {"a":0.5,"b":"x\\ny"}\n\n'
    )
    assert encode("progress", {"é": None}).whole == b'event: progress\ndata: {"\\u00e9":null}\n\n'
    with pytest.raises(ValueError, match="Out of range float"):
        encode("metric", {"val_loss": float("inf")}, 1)


def test_a_state_event_always_has_the_five_keys() -> None:
    five = {"run_id": "r_1", "state": "queued", "error": None, "test_accuracy": None, "sample_predictions": None}
    assert state_data("r_1", "queued") == five
    assert state_data("r_1", "queued", queue_position=2) == {**five, "queue_position": 2}


def test_a_finished_run_is_replayed_to_everyone_and_resumed_by_id(store: Store, log: EventLog) -> None:
    add_run(store)
    log.transition("r_1", "running")
    log.publish("r_1", "metric", {"epoch": 1}, epoch=1)
    log.transition("r_1", "succeeded", test_accuracy=0.5, sample_predictions=[{"label": 3}])
    first = read(log)
    assert [name for _, name, _ in first] == ["retry", "state", "state", "metric", "state"]
    assert ids(first) == [1, 2, 3, 4]
    assert first[-1][2] == state_data("r_1", "succeeded", test_accuracy=0.5, sample_predictions=[{"label": 3}])
    assert read(log) == first
    assert ids(read(log, after=2)) == [3, 4]
    assert ids(read(log, after=-5)) == [1, 2, 3, 4]
    assert [log.finished("r_1", after) for after in (0, 3, 4, 99)] == [False, False, True, True]


def test_an_active_run_is_finished_for_nobody(store: Store, log: EventLog) -> None:
    add_run(store)
    assert not log.finished("r_1", after=99)
    with pytest.raises(UnknownRecord):
        log.finished("r_0", after=0)


def test_an_unknown_run_is_refused_before_the_stream_begins(log: EventLog) -> None:
    with pytest.raises(UnknownRecord):
        log.follow("r_0", after=0)


def test_live_events_arrive_as_they_happen_and_an_id_from_the_future_hides_nothing(store: Store, log: EventLog) -> None:
    add_run(store)
    stream = log.follow("r_1", after=99)
    assert next(stream) == b"retry: 3000\n\n"
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(next, stream)
        log.transition("r_1", "running")
        assert read_frame(waiting.result(DEADLINE))[0] == 2
        waiting = pool.submit(next, stream)
        log.transition("r_1", "failed", error="no")
        assert read_frame(waiting.result(DEADLINE)) == (3, "state", state_data("r_1", "failed", error="no"))
    assert next(stream, None) is None


def test_progress_is_the_newest_only_without_id_and_never_replayed(store: Store, log: EventLog) -> None:
    add_run(store)
    log.progress("r_1", {"fraction": 0.1})  # nobody follows
    stream = log.follow("r_1", after=0)
    assert [read_frame(next(stream))[1] for _ in range(2)] == ["retry", "state"]
    log.progress("r_1", {"fraction": 0.2})
    log.progress("r_1", {"fraction": 0.3})
    assert read_frame(next(stream)) == (None, "progress", {"fraction": 0.3})
    late = log.follow("r_1", after=1)
    next(late)
    log.publish("r_1", "log", {})
    assert read_frame(next(late))[:2] == (2, "log")
    assert read_frame(next(stream))[:2] == (2, "log")


def test_progress_never_follows_an_event_that_is_newer(store: Store, log: EventLog) -> None:
    add_run(store)
    stream = log.follow("r_1", after=1)
    next(stream)
    log.progress("r_1", {"fraction": 0.9})
    log.transition("r_1", "cancelled")
    log.progress("r_1", {"fraction": 1.0})
    assert [read_frame(frame)[1] for frame in stream] == ["state"]


def test_silence_is_broken_by_comments(store: Store) -> None:
    log = EventLog(store, keep_alive=0.01)
    add_run(store)
    stream = log.follow("r_1", after=1)
    assert [next(stream) for _ in range(3)] == [b"retry: 3000\n\n", b": keep-alive\n\n", b": keep-alive\n\n"]
    log.close()


def test_the_contract_of_15_seconds_is_kept_with_time_to_spare(log: EventLog) -> None:
    assert log._keep_alive <= 12


def test_close_ends_every_follower_at_once_after_what_is_there(store: Store) -> None:
    """They are woken, as nothing else would wake them in this time."""
    log = EventLog(store, keep_alive=10 * DEADLINE)
    add_run(store)
    with ThreadPoolExecutor(8) as pool:
        streams = [log.follow("r_1", after=0) for _ in range(8)]
        for stream in streams:
            assert [next(stream), next(stream)][0] == b"retry: 3000\n\n"
        readers = [pool.submit(list, stream) for stream in streams]
        log.close()
        assert [reader.result(DEADLINE) for reader in readers] == [[]] * 8
    assert ids(read(log)) == [1]  # who comes later gets the history and an end


def test_a_follower_far_behind_catches_up_from_the_store(store: Store, log: EventLog) -> None:
    add_run(store)
    slow = log.follow("r_1", after=0)
    next(slow)
    for number in range(2 * TAIL):
        log.publish("r_1", "log", {"n": number})
    log.transition("r_1", "cancelled")
    assert [read_frame(frame)[0] for frame in slow] == list(range(1, 2 * TAIL + 3))


def test_a_finished_run_leaves_nothing_in_memory(store: Store, log: EventLog) -> None:
    for number in range(20):
        add_run(store, f"r_{number}")
        streams = [log.follow(f"r_{number}", after=0) for _ in range(3)]
        next(streams[0])
        log.transition(f"r_{number}", "running")
        log.transition(f"r_{number}", "cancelled")
        del streams  # clients that went away
        read(log, f"r_{number}")
    assert log._channels == {}


def test_of_two_rivals_for_the_end_one_wins_and_is_told(store: Store, log: EventLog) -> None:
    for number in range(10):
        run_id = f"r_{number}"
        add_run(store, run_id)
        log.transition(run_id, "running")
        door = threading.Barrier(2)
        with ThreadPoolExecutor(3) as pool:
            reader = pool.submit(read, log, run_id)

            def end(state: str, run_id: str = run_id, door: threading.Barrier = door) -> str | None:
                door.wait(DEADLINE)
                try:
                    log.transition(run_id, state)
                except WrongState:
                    return None
                return state

            ends = list(pool.map(end, ["succeeded", "cancelled"]))
            frames = reader.result(DEADLINE)
        winner = [state for state in ends if state]
        run = store.get_run(run_id)
        assert run is not None and [run.state] == winner
        assert ids(frames) == [1, 2, 3] and frames[-1][2]["state"] == winner[0]


def test_followers_who_come_at_any_moment_get_it_all_once_and_the_end_last(store: Store, log: EventLog) -> None:
    """Many short runs; followers join before, during and in the very moment of the end."""
    chance = random.Random(0)

    def follow(run_id: str, delay: float) -> tuple[int, list[tuple[int | None, str, Json]]]:
        threading.Event().wait(delay)
        after = int(delay * 1e6) % 2
        return after, read(log, run_id, after)

    def drive(run_id: str) -> None:
        log.transition(run_id, "running")
        for number in range(6):
            log.progress(run_id, {"fraction": number / 6})
            log.publish(run_id, "metric", {"epoch": number})
        log.progress(run_id, {"fraction": 1.0})
        log.transition(run_id, "succeeded")
        log.progress(run_id, {"fraction": 2.0})

    with ThreadPoolExecutor(16) as pool:
        for number in range(15):
            run_id = f"r_{number}"
            add_run(store, run_id)
            followers = [pool.submit(follow, run_id, chance.random() * 0.03) for _ in range(12)]
            pool.submit(drive, run_id).result(DEADLINE)
            for follower in followers:
                after, frames = follower.result(DEADLINE)
                assert ids(frames) == list(range(after + 1, 10))
                assert frames[-1][1:] == ("state", state_data(run_id, "succeeded"))
                assert all(frame[1] != "progress" or frame[2]["fraction"] <= 1 for frame in frames)
    assert log._channels == {}
