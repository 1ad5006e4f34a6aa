"""What is written is there, whole, in order, for every thread and after a restart."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from importlib.resources import files
from pathlib import Path

import pytest

from backend.events.wire import state_data
from backend.state.errors import StillActive, UnknownRecord, UnreadableRecord, WrongState
from backend.state.records import Json, RunState
from backend.state.rows import MODEL_COLUMNS, RUN_COLUMNS, SUMMED, checksum, dumps, to_columns
from backend.state.schema import SCHEMA_VERSION, NewerSchema, bring
from backend.state.store import Store
from backend.state.tables import change, find
from backend.state.upgrade import ADDED
from tests.backend.samples import DEADLINE, a_model, a_run, add_run


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "lamina.sqlite3"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    store = Store(path)
    yield store
    store.close()


def to(store: Store, run_id: str, *states: RunState, **fields: object) -> None:
    for state in states:
        last = state == states[-1]
        store.transition(run_id, state, data={"state": state}, **(fields if last else {}))


def test_a_model_comes_back_as_it_was_written_after_a_restart(path: Path, store: Store) -> None:
    model = a_model(description="für Größen", architecture={"layers": [{"type": "relu"}]}, trained=True)
    store.create_model(model)
    reopened = Store(path)
    assert reopened.get_model("m_1") == model
    reopened.close()


def test_a_run_comes_back_as_it_was_written_with_the_metrics_of_its_events(store: Store) -> None:
    store.create_model(a_model())
    run = a_run(warnings=["a"], versions={"jax": "1"}, sample_predictions=[{"grid": [[1]], "label": 2}], queued=True)
    store.create_run(run, {"state": "queued"})
    to(store, "r_1", "running")
    store.append_event("r_1", "metric", {"epoch": 1, "val_loss": 0.5}, epoch=1)
    store.append_event("r_1", "log", {"message": "b"})
    store.append_event("r_1", "metric", {"epoch": 2, "val_loss": 0.25}, epoch=2)
    found = store.get_run("r_1")
    metrics = [{"epoch": 1, "val_loss": 0.5}, {"epoch": 2, "val_loss": 0.25}]
    assert found is not None and found.started_at is not None
    kept = {"curve": found.curve, "summary": found.summary, "metrics": metrics}
    assert found == replace(run, state="running", started_at=found.started_at, epoch=2, **kept)
    assert found.metrics_total == 2
    assert store.list_runs() == [found]
    without = store.get_run("r_1", metrics=False)
    assert without == replace(found, metrics=[])


def test_unknown_ids_are_none_or_unknown(store: Store) -> None:
    assert store.get_model("m_0") is None and store.get_run("r_0") is None
    assert store.events("r_0") == [] and store.list_runs(model_id="m_0") == []
    for call in (
        lambda: store.update_model("m_0", name="x"),
        lambda: store.update_run("r_0", epoch=1),
        lambda: store.delete_model("m_0"),
        lambda: store.create_run(a_run(model_id="m_0"), {}),
        lambda: store.append_event("r_0", "log", {}),
        lambda: store.transition("r_0", "running", data={}),
        lambda: store.tail("r_0"),
    ):
        with pytest.raises(UnknownRecord):
            call()


def test_update_model_changes_the_named_fields_and_the_time_only(store: Store) -> None:
    model = a_model(description="old", hyperparams={"epochs": 1})
    store.create_model(model)
    changed = store.update_model("m_1", description=None, hyperparams={"epochs": 2})
    assert changed == replace(model, description=None, hyperparams={"epochs": 2}, updated_at=changed.updated_at)
    assert changed.updated_at > model.updated_at
    assert store.get_model("m_1") == changed


@pytest.mark.parametrize("column", ["runs_total", "name = 'x' --", "state"])
def test_a_name_that_is_no_column_never_reaches_the_sql(store: Store, column: str) -> None:
    store.create_model(a_model())
    with pytest.raises(TypeError, match="no such column"):
        store.update_model("m_1", **{column: 1})


def test_models_and_runs_are_listed_newest_first_and_filtered(store: Store) -> None:
    for model_id in ("m_1", "m_2"):
        store.create_model(a_model(model_id))
    for number in range(4):
        add_run(store, f"r_{number}", model_id=f"m_{1 + number % 2}")
    to(store, "r_2", "cancelled")
    assert [model.model_id for _, model in store.each_model()] == ["m_2", "m_1"]
    assert [run.run_id for run in store.list_runs()] == ["r_3", "r_2", "r_1", "r_0"]
    assert [run.run_id for run in store.list_runs(model_id="m_1")] == ["r_2", "r_0"]
    assert [run.run_id for run in store.list_runs(state="queued", limit=2)] == ["r_3", "r_1"]
    assert [run.run_id for run in store.list_runs(model_id="m_1", state="cancelled")] == ["r_2"]


def test_what_a_model_has_reached_comes_from_its_succeeded_runs(store: Store) -> None:
    for number, accuracy in enumerate([0.9, 0.8]):
        add_run(store, f"r_{number}")
        to(store, f"r_{number}", "running", "succeeded", test_accuracy=accuracy, saved_model_path=f"c/r_{number}/w")
    add_run(store, "r_2")
    to(store, "r_2", "running", "failed", error="no", test_accuracy=1.0)
    model, newest = store.get_model("m_1"), store.get_run("r_1")
    assert model is not None and newest is not None
    assert (model.runs_total, model.highest_accuracy) == (3, 0.9)
    assert model.last_trained_at == newest.completed_at
    assert model.latest_run == {
        "run_id": "r_1",
        "completed_at": newest.completed_at,
        "test_accuracy": 0.8,
        "saved_model_path": "c/r_1/w",
    }
    assert [found for _, found in store.each_model()] == [model]


def test_the_run_that_ended_last_is_the_latest_whatever_the_clock_says(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for year, run_id in ((2031, "r_1"), (2029, "r_2"), (2030, "r_3")):  # set back, and part of the way on again
        monkeypatch.setattr("backend.state.store.utc_now", lambda year=year: f"{year}-01-01T00:00:00.000000+00:00")
        add_run(store, run_id)
        to(store, run_id, "running", "succeeded", test_accuracy=0.5 + (run_id == "r_2") / 4)

    def reached() -> tuple[object, object, object]:
        model = store.get_model("m_1")
        assert model is not None and model.latest_run is not None
        return model.latest_run["run_id"], model.highest_accuracy, model.last_trained_at

    assert reached() == ("r_3", 0.75, "2030-01-01T00:00:00.000000+00:00")
    assert [run.run_id for run in store.list_runs()] == ["r_3", "r_2", "r_1"]
    store.delete_run("r_3")
    assert reached()[:2] == ("r_2", 0.75)
    store.delete_run("r_2")
    assert reached()[:2] == ("r_1", 0.5)


def test_of_runs_that_ended_in_another_order_than_they_began_the_last_is_the_latest(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for run_id in ("r_1", "r_2"):
        add_run(store, run_id)
    to(store, "r_1", "running", "failed", resumable=True)
    to(store, "r_2", "running", "succeeded")
    monkeypatch.setattr("backend.state.store.utc_now", lambda: "2001-01-01T00:00:00.000000+00:00")
    store.resume("r_1", data={}, queued=False)
    to(store, "r_1", "running", "succeeded")
    model = store.get_model("m_1")
    assert model is not None and model.latest_run is not None and model.latest_run["run_id"] == "r_1"


def test_deleting_a_model_takes_its_runs_and_events_and_no_others(store: Store) -> None:
    store.create_model(a_model("m_2"))
    add_run(store, "r_1")
    add_run(store, "r_2")
    add_run(store, "r_3", model_id="m_2")
    with pytest.raises(StillActive, match="r_1"):
        store.delete_model("m_1")
    to(store, "r_1", "cancelled")
    to(store, "r_2", "running", "failed")
    assert sorted(store.delete_model("m_1")) == ["r_1", "r_2"]
    assert store.get_model("m_1") is None and store.get_run("r_1") is None and store.events("r_1") == []
    assert [run.run_id for run in store.list_runs()] == ["r_3"]
    assert len(store.events("r_3")) == 1


@pytest.mark.parametrize(
    ("before", "wanted"),
    [
        ([], "succeeded"),
        (["running"], "queued"),
        (["running"], "running"),
        (["cancelled"], "running"),
        (["running", "succeeded"], "cancelled"),
        (["running", "failed"], "failed"),
    ],
)
def test_a_state_that_does_not_follow_changes_nothing(store: Store, before: list[RunState], wanted: RunState) -> None:
    add_run(store)
    to(store, "r_1", *before)
    run, events = store.get_run("r_1"), store.events("r_1")
    with pytest.raises(WrongState, match=f"no {wanted} can follow") as error:
        store.transition("r_1", wanted, data={}, error="x")
    assert error.value.state == (before[-1] if before else "queued")
    assert (store.get_run("r_1"), store.events("r_1")) == (run, events)


def test_nothing_follows_the_terminal_event(store: Store) -> None:
    add_run(store)
    to(store, "r_1", "running", "succeeded")
    with pytest.raises(WrongState, match="is succeeded: no metric"):
        store.append_event("r_1", "metric", {})
    assert store.tail("r_1") == ("succeeded", 3)


def test_a_refused_event_leaves_the_run_untouched(store: Store) -> None:
    add_run(store)
    with pytest.raises(ValueError, match="Out of range float"):
        store.append_event("r_1", "metric", {"val_loss": float("nan")}, epoch=1)
    run = store.get_run("r_1")
    assert run is not None and run.epoch == 0
    assert store.append_event("r_1", "log", {}) == 2  # the connection is usable, the id not lost


def test_ids_count_up_without_gaps_while_threads_write_and_read(store: Store) -> None:
    add_run(store, "r_1")
    add_run(store, "r_2")
    given: dict[str, list[int]] = {"r_1": [], "r_2": []}
    torn: list[object] = []
    ended = threading.Event()

    def write(run_id: str) -> None:
        for number in range(50):
            given[run_id].append(store.append_event(run_id, "metric", {"n": number}, epoch=number))

    def read() -> None:
        while not ended.is_set():
            for run in store.list_runs():
                if run.metrics and max(metric["n"] for metric in run.metrics) < run.epoch:
                    torn.append(run)  # the row and its event are one transaction

    writers = [threading.Thread(target=write, args=(run_id,)) for run_id in given for _ in range(2)]
    readers = [threading.Thread(target=read) for _ in range(3)]
    for thread in [*writers, *readers]:
        thread.start()
    for thread in writers:
        thread.join(DEADLINE)
    ended.set()
    for thread in readers:
        thread.join(DEADLINE)
    assert not torn
    for run_id, ids in given.items():
        assert sorted(ids) == list(range(2, 102))
        assert [event.id for event in store.events(run_id)] == list(range(1, 102))


def test_a_reader_does_not_wait_for_the_writer(path: Path, store: Store) -> None:
    add_run(store)
    other = Store(path)
    with other._write() as connection:
        change(connection, "runs", find(connection, "runs", "r_1"), {"epoch": 2})
        run = store.get_run("r_1")
        assert run is not None and run.epoch == 0
    other.close()
    run = store.get_run("r_1")
    assert run is not None and run.epoch == 2


def test_who_reads_next_sees_what_was_written_since_though_a_query_was_left_half_read(store: Store) -> None:
    for run_id in ("r_1", "r_2"):
        add_run(store, run_id)
    with store.reading() as connection:
        rows = connection.execute("SELECT run_id FROM runs")
        assert next(rows)["run_id"] == "r_1"
    add_run(store, "r_3")
    assert store.get_run("r_3") is not None  # on the same connection


def test_events_page(store: Store) -> None:
    add_run(store)
    for _ in range(5):
        store.append_event("r_1", "log", {})
    assert [event.id for event in store.events("r_1", after=2)] == [3, 4, 5, 6]
    assert [event.id for event in store.events("r_1", after=2, limit=2)] == [3, 4]
    assert store.events("r_1", after=99) == []


def test_a_store_of_a_later_version_is_refused(path: Path) -> None:
    path.parent.mkdir()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(NewerSchema, match="has schema 99.*upgrade Lamina"):
        Store(path)


def test_a_damaged_file_is_an_error_of_sqlite(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"this is no database " * 100)
    with pytest.raises(sqlite3.DatabaseError):
        Store(path)


def test_a_closed_store_says_so(path: Path) -> None:
    store = Store(path)
    list(store.each_model())
    store.close()
    with pytest.raises(sqlite3.ProgrammingError):
        list(store.each_model())
    with pytest.raises(sqlite3.ProgrammingError):
        store.create_model(a_model())


def test_writes_survive_a_power_cut(store: Store) -> None:
    mode = store._writer.execute("PRAGMA journal_mode").fetchone()[0]
    synchronous = store._writer.execute("PRAGMA synchronous").fetchone()[0]
    assert (mode, synchronous) == ("wal", 2)


def a_store_of_version_1(path: Path) -> None:
    """A file as version 1 of Lamina left it: three runs that ended early, one that did not, one that waits."""
    connection = sqlite3.connect(path)
    connection.executescript(files("backend.state").joinpath("schema_1.sql").read_text("utf-8"))
    connection.execute("PRAGMA user_version = 1")
    connection.execute(
        "INSERT INTO models (model_id, name, created_at, updated_at, trained) VALUES ('m_1', 'CNN', 'then', 'then', 0)"
    )
    cut = "interrupted: the server stopped while this run was in epoch"
    runs = [("r_cut", "failed", 2, cut), ("r_lost", "failed", 0, cut), ("r_bad", "failed", 0, "diverged")]
    for run_id, state, epoch, error in [*runs, ("r_good", "succeeded", 3, None), ("r_waits", "queued", 0, None)]:
        connection.execute(
            "INSERT INTO runs (run_id, model_id, state, created_at, architecture, hyperparams, dataset, dataset_named,"
            " queued, epochs_total, epoch, error, warnings)"
            " VALUES (?, 'm_1', ?, 'then', '{}', '{}', 'digits', 1, 1, 3, ?, ?, '[]')",
            (run_id, state, epoch, error),
        )
        connection.execute("INSERT INTO events VALUES (?, 1, 'state', '{\"state\": \"queued\"}')", (run_id,))
    connection.commit()
    connection.close()


def test_a_store_of_version_1_opens_with_all_it_holds(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    a_store_of_version_1(path)
    for _ in range(2):  # the second time there is nothing left to change
        store = Store(path)
        runs = {run.run_id: run for run in store.list_runs()}
        assert [run_id for run_id, run in runs.items() if run.resumable] == ["r_lost"]
        assert sorted(run.name for run in runs.values()) == ["CNN", "CNN #2", "CNN #3", "CNN #4", "CNN #5"]
        assert runs["r_good"].best_epoch is None and runs["r_good"].resumed_from is None
        assert [event.data for event in store.events("r_cut")] == [{"state": "queued"}]
        assert store.unreadable.sentences() == []
        model = store.get_model("m_1")
        assert model is not None and model.latest_run is not None
        assert (model.runs_total, model.latest_run["run_id"]) == (5, "r_good")
        store.close()
    connection = sqlite3.connect(path)
    migrated = connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()
    connection.close()
    fresh = path.with_name("fresh.sqlite3")
    Store(fresh).close()
    connection = sqlite3.connect(fresh)
    assert connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall() == migrated
    assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
    connection.close()


def a_store_of_version(version: int, path: Path) -> None:
    """Two runs as that version wrote them, from 3 on, and one that has changed since."""
    connection = sqlite3.connect(path)
    bring(connection, 0, version)
    later = [ADDED[since] for since in ADDED if since > version]
    of_models, of_runs = (
        [name for name in SUMMED[table] if not any(name in each.get(table, ()) for each in later)]
        for table in ("models", "runs")
    )
    columns = to_columns(asdict(replace(a_model(), runs_total=3)), allowed=MODEL_COLUMNS)
    put(connection, "models", {name: value for name, value in columns.items() if name in of_models}, of_models)
    for number in (1, 2, 3):
        run = {name: value for name, value in asdict(a_run(f"r_{number}")).items() if name in of_runs}
        put(connection, "runs", to_columns(run, allowed=RUN_COLUMNS), of_runs)
    metric = ("r_1", 1, "metric", '{"epoch":1,"val_loss":0.5,"val_accuracy":0.75}')
    connection.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?)", (*metric, checksum(metric)))
    connection.execute("UPDATE runs SET epoch = 2 WHERE run_id = 'r_2'")
    connection.execute(f"PRAGMA user_version = {version}")
    connection.commit()
    connection.close()


def put(connection: sqlite3.Connection, table: str, columns: Json, summed: Sequence[str]) -> None:
    marks = ", ".join(f":{name}" for name in columns)
    row = connection.execute(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", columns).lastrowid
    values = connection.execute(f"SELECT {', '.join(summed)} FROM {table} WHERE sequence = ?", (row,)).fetchone()
    connection.execute(f"UPDATE {table} SET checksum = ? WHERE sequence = ?", (checksum(values), row))


@pytest.mark.parametrize("version", [3, 4])
def test_an_older_store_opens_with_what_was_written(path: Path, version: int) -> None:
    """And what was damaged before stays so. Runs get names, and what their metrics come to."""
    path.parent.mkdir(parents=True, exist_ok=True)
    a_store_of_version(version, path)
    for _ in range(2):
        store = Store(path)
        runs = store.list_runs()
        assert [(run.run_id, run.name, run.tags, run.notes) for run in runs] == [
            ("r_3", "CNN #2", [], None),
            ("r_1", "CNN", [], None),
        ]
        assert [run.best for run in runs] == [None, {"epoch": 1, "val_loss": 0.5, "val_accuracy": 0.75}]
        with pytest.raises(UnreadableRecord):
            store.get_run("r_2")
        model = store.get_model("m_1")
        assert model is not None and model.runs_total == 3 and not model.made_for_run
        store.close()


def test_a_run_without_a_name_is_called_as_its_model(store: Store) -> None:
    for run_id in ("r_1", "r_2", "r_3"):
        add_run(store, run_id, name="")
    add_run(store, "r_4", name="CNN")  # as its client called it
    add_run(store, "r_5", name="CNN #7")
    add_run(store, "r_6", name="", model_id="m_2")
    add_run(store, "r_7", name="")
    names = [run.name for run in store.list_runs()]
    assert names == ["CNN #8", "CNN", "CNN #7", "CNN", "CNN #3", "CNN #2", "CNN"]


def test_a_summary_keeps_up_with_the_metrics(store: Store) -> None:
    add_run(store)
    to(store, "r_1", "running")
    told = [(0.5, 0.7, 10.0), (0.4, 0.6, 30.0), (0.4, 0.9, 20.0), (0.6, 0.8, 20.0)]
    for epoch, (loss, accuracy, speed) in enumerate(told, start=1):
        metric = {"epoch": epoch, "val_loss": loss, "val_accuracy": accuracy, "samples_per_sec": speed}
        store.append_event("r_1", "metric", metric, epoch=epoch)
    run = store.get_run("r_1")
    assert run is not None and run.best == {"epoch": 2, "val_loss": 0.4, "val_accuracy": 0.6}
    assert run.summary == {
        "best": run.best,
        "last": {"epoch": 4, "val_loss": 0.6, "val_accuracy": 0.8, "samples_per_sec": 20.0},
        "reached": {"val_loss": 0.4, "val_accuracy": 0.9, "samples_per_sec": 30.0},
        "reached_at": {"val_loss": 2, "val_accuracy": 3, "samples_per_sec": 2},
    }


def test_the_order_of_ends_in_an_older_store_is_that_of_its_events(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    a_store_of_version_1(path)
    connection = sqlite3.connect(path)
    connection.execute("UPDATE runs SET state = 'succeeded', completed_at = '2031' WHERE run_id = 'r_lost'")
    connection.execute("UPDATE runs SET state = 'succeeded', completed_at = '2029' WHERE run_id = 'r_cut'")
    connection.execute("UPDATE runs SET completed_at = '2030' WHERE run_id = 'r_good'")
    connection.execute("INSERT INTO events VALUES ('r_cut', 2, 'state', '{}')")  # the last of all
    connection.execute("UPDATE runs SET architecture = '{' WHERE run_id = 'r_bad'")
    connection.commit()
    connection.close()
    store = Store(path)
    model = store.get_model("m_1")
    assert model is not None and model.latest_run is not None
    assert (model.latest_run["run_id"], model.runs_total) == ("r_cut", 5)
    assert sorted(run.run_id for run in store.list_runs()) == ["r_cut", "r_good", "r_lost", "r_waits"]
    assert "the record of run r_bad in lamina.sqlite3 is damaged" in store.unreadable.sentences()[0]
    store.close()


def test_a_resumed_run_waits_again_and_its_history_goes_on(store: Store) -> None:
    add_run(store)
    store.transition("r_1", "running", data=state_data("r_1", "running"))
    told = state_data("r_1", "failed", error="interrupted: so it was")
    store.transition("r_1", "failed", data=told, error="interrupted: so it was", resumable=True)
    assert store.resume("r_1", data=state_data("r_1", "queued"), queued=True) == 4
    run = store.get_run("r_1")
    assert run is not None and (run.state, run.queued, run.resumable) == ("queued", True, False)
    assert (run.error, run.completed_at) == (None, None)
    events = store.events("r_1")
    assert [event.id for event in events] == [1, 2, 3, 4]
    assert events[2].data == {**told, "state": "interrupted", "superseded": True, "was": "failed"}
    assert events[3].data["state"] == "queued"


@pytest.mark.parametrize(("error", "was"), [("interrupted: the server stopped", "failed"), (None, "cancelled")])
def test_an_end_that_was_superseded_before_there_were_marks_is_read_with_one(
    store: Store, error: str | None, was: str
) -> None:
    add_run(store)
    told = {**state_data("r_1", "cancelled", error=error), "state": "interrupted"}  # as it was stored then
    store.append_event("r_1", "state", told)
    store.append_event("r_1", "log", {"message": dumps(told)})
    _, end, log = store.events("r_1")
    assert end.data == {**told, "superseded": True, "was": was}
    assert log.data == {"message": dumps(told)}
    assert store.unreadable.sentences() == [], "its checksum is over what is stored"


def test_ends_and_resumes_are_numbered_in_their_order_whatever_is_deleted(store: Store) -> None:
    for run_id in ("r_1", "r_2", "r_3"):
        add_run(store, run_id)
        store.transition(run_id, "cancelled", data={"state": "cancelled"}, resumable=True)
    for run_id in ("r_3", "r_2"):
        store.delete_run(run_id)
    for _ in range(2):
        store.resume("r_1", data=state_data("r_1", "queued"), queued=True)
        store.transition("r_1", "cancelled", data={"state": "cancelled"}, resumable=True)
    run = store.get_run("r_1")
    assert run is not None and run.resumes == [[4, 3], [6, 5]]


@pytest.mark.parametrize("end", ["failed", "cancelled", "succeeded", None])
def test_only_a_resumable_run_is_resumed(store: Store, end: RunState | None) -> None:
    add_run(store)
    store.transition("r_1", "running", data={})
    if end is not None:
        store.transition("r_1", end, data={"state": end})
    before = store.events("r_1")
    with pytest.raises(WrongState, match="no resume can follow"):
        store.resume("r_1", data={}, queued=False)
    assert store.events("r_1") == before
    with pytest.raises(UnknownRecord):
        store.resume("r_0", data={}, queued=False)
