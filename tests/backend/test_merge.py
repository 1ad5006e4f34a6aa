"""An archive is added to a state as a whole, beside what is there, or changes nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, nullcontext
from pathlib import Path

import pytest

from backend.events.wire import state_data
from backend.state import merge as module
from backend.state.archive import ArchiveError, export_state
from backend.state.garbage import garbage
from backend.state.merge import Merged, merge_state
from backend.state.records import Json
from backend.state.store import STORE_FILE, Store
from tests.backend.samples import a_model, add_run
from tests.backend.test_archive import files, silent

METRIC = {"epoch": 1, "val_loss": 0.5, "val_accuracy": 0.5}


def succeeded(store: Store, run_id: str, *, model_id: str, accuracy: float) -> str:
    add_run(store, run_id, model_id=model_id)
    store.transition(run_id, "running", data=state_data(run_id, "running"))
    store.append_event(run_id, "metric", METRIC, epoch=1)
    folder = store._path.parent
    for name in ("weights.msgpack", "run.json", "training.msgpack"):
        (folder / run_id).mkdir(exist_ok=True)
        (folder / run_id / name).write_bytes(f"{name} of {run_id}".encode())
    saved = f"{folder.name}/{run_id}/weights.msgpack"
    told = state_data(run_id, "succeeded")
    store.transition(run_id, "succeeded", data=told, saved_model_path=saved, test_accuracy=accuracy)
    return run_id


def cut(store: Store, run_id: str, *, model_id: str, resumed: bool) -> None:
    """A run that was cut off after its first epoch, and may be training again."""
    add_run(store, run_id, model_id=model_id, queued=True)
    store.transition(run_id, "running", data=state_data(run_id, "running"))
    store.append_event(run_id, "metric", METRIC, epoch=1)
    (store._path.parent / run_id).mkdir()
    (store._path.parent / run_id / "training.msgpack").write_bytes(b"epoch 1")
    store.transition(run_id, "failed", data=state_data(run_id, "failed", error="cut"), error="cut", resumable=True)
    if resumed:
        store.resume(run_id, data=state_data(run_id, "queued"), queued=True)
        store.transition(run_id, "running", data=state_data(run_id, "running"))


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Of a state with two models, and runs of every end."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    with closing(Store(folder / STORE_FILE)) as store:
        succeeded(store, "r_1", model_id="m_shared", accuracy=0.75)
        cut(store, "r_cut", model_id="m_theirs", resumed=False)
        cut(store, "r_active", model_id="m_theirs", resumed=True)
        add_run(store, "r_waiting", model_id="m_theirs", queued=True)
        succeeded(store, "r_2", model_id="m_theirs", accuracy=0.5)
        saved = {"saved_run_id": "r_2", "saved_model_path": "theirs/r_2/weights.msgpack", "trained": True}
        store.update_model("m_theirs", **saved)
    export_state(folder, tmp_path / "a.tar", progress=silent)
    return tmp_path / "a.tar"


@pytest.fixture
def ours(tmp_path: Path, archive: Path) -> Iterator[Store]:
    """A state that has the one model, too, with a run of its own. It stays open, as by a server."""
    (tmp_path / "ours").mkdir()
    store = Store(tmp_path / "ours" / STORE_FILE)
    succeeded(store, "r_ours", model_id="m_shared", accuracy=0.9)
    yield store
    store.close()


def merged(archive: Path, store: Store) -> Merged:
    def ending(run_id: str, error: str) -> Json:
        return state_data(run_id, "failed", error=error)

    return merge_state(archive, store._path.parent, ending=ending, held=nullcontext(), progress=silent)


def content(store: Store) -> object:
    """All records and events, and all files but the store's."""
    runs = store.list_runs()
    models = [model for _, model in store.each_model()]
    kept = {name: data for name, data in files(store._path.parent).items() if not name.startswith(STORE_FILE)}
    return runs, models, [store.events(run.run_id) for run in runs], kept


def test_all_of_it_is_there_at_once_in_its_order(archive: Path, ours: Store, tmp_path: Path) -> None:
    done = merged(archive, ours)
    assert (done.runs, done.models, done.same_runs, done.same_models, done.files) == (5, 1, 0, 1, 8)
    assert [run.run_id for run in ours.list_runs()] == ["r_2", "r_waiting", "r_active", "r_cut", "r_1", "r_ours"]
    ours.verify()
    assert ours.unreadable.sentences() == [] and garbage(tmp_path / "ours", ours) == []
    with closing(Store(tmp_path / "theirs" / STORE_FILE)) as theirs:
        for run_id in ("r_1", "r_2", "r_cut"):
            assert ours.events(run_id) == theirs.events(run_id)
    shared, model = ours.get_model("m_shared"), ours.get_model("m_theirs")
    assert shared is not None and shared.latest_run is not None and model is not None
    assert (shared.runs_total, shared.highest_accuracy, shared.latest_run["run_id"]) == (2, 0.9, "r_1")
    assert shared.latest_run["saved_model_path"] == "ours/r_1/weights.msgpack"
    assert (model.runs_total, model.saved_model_path) == (4, "ours/r_2/weights.msgpack")
    assert (tmp_path / "ours" / "r_2" / "run.json").read_bytes() == b"run.json of r_2"


def test_active_runs_arrive_as_interrupted_ones_that_can_go_on(archive: Path, ours: Store, tmp_path: Path) -> None:
    merged(archive, ours)
    for run_id, where in (("r_active", "was exported while this run was in epoch 2 of 3"), ("r_waiting", "it waited")):
        run = ours.get_run(run_id)
        assert run is not None and (run.state, run.resumable) == ("failed", True) and where in (run.error or "")
        assert ours.events(run_id)[-1].data == state_data(run_id, "failed", error=run.error)
        assert run.cut_off is None, "no server takes up by itself what came from elsewhere"
        ours.resume(run_id, data=state_data(run_id, "queued"), queued=True)
    assert (tmp_path / "ours" / "r_active" / "training.msgpack").read_bytes() == b"epoch 1"


def test_ends_and_resumes_keep_their_order_under_numbers_of_this_state(archive: Path, ours: Store) -> None:
    with ours.reading() as connection:
        (before,) = connection.execute("SELECT max(ended) FROM runs").fetchone()
    merged(archive, ours)
    with ours.reading() as connection:
        ended = dict(connection.execute("SELECT run_id, ended FROM runs").fetchall())
    active = ours.get_run("r_active")
    assert active is not None and active.resumes is not None
    ((resumed, _),) = active.resumes
    assert before < ended["r_1"] < ended["r_cut"] < resumed < ended["r_2"] < ended["r_active"]
    assert len(set(ended.values())) == len(ended)
    add_run(ours, "r_later", model_id="m_shared")
    ours.transition("r_later", "cancelled", data={})
    with ours.reading() as connection:
        assert connection.execute("SELECT run_id FROM runs ORDER BY ended DESC").fetchone()[0] == "r_later"


def test_what_is_there_already_is_counted_and_left(archive: Path, ours: Store) -> None:
    merged(archive, ours)
    before = content(ours)
    again = merged(archive, ours)
    assert (again.runs, again.models, again.same_runs, again.same_models) == (0, 0, 5, 2)
    assert content(ours) == before
    ours.delete_run("r_1")
    ours.resume("r_active", data=state_data("r_active", "queued"), queued=True)  # it has gone on here since
    third = merged(archive, ours)
    assert (third.runs, third.same_runs) == (1, 4)
    resumed = ours.get_run("r_active")
    assert resumed is not None and resumed.state == "queued" and ours.get_run("r_1") is not None


def test_what_differs_is_refused_by_name_and_nothing_changes(archive: Path, ours: Store) -> None:
    merged(archive, ours)
    ours.delete_run("r_1")
    ours.update_run("r_cut", notes="mine")
    ours.update_model("m_theirs", name="Mine")
    before = content(ours)
    with pytest.raises(ArchiveError, match=r"differs from the archive: model m_theirs, run r_cut; nothing was impo"):
        merged(archive, ours)
    assert content(ours) == before


def test_no_more_than_twenty_names_are_told() -> None:
    said = module._refusal([f"run r_{number}" for number in range(25)])
    assert "run r_19 and 5 more; nothing" in said and "r_20" not in said


def test_a_damaged_archive_changes_nothing(archive: Path, ours: Store) -> None:
    before = content(ours)
    whole = archive.read_bytes()
    archive.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ArchiveError, match="nothing was imported"):
        merged(archive, ours)
    assert content(ours) == before


def test_a_failure_at_any_step_takes_everything_back(
    archive: Path, ours: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = content(ours)
    insert = module._insert

    def fail(connection: object, table: str, columns: Json) -> None:
        insert(connection, table, columns)  # type: ignore[arg-type]
        if columns.get("run_id") == "r_waiting":
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "_insert", fail)
    with pytest.raises(OSError, match="No space"):
        merged(archive, ours)
    assert content(ours) == before
    monkeypatch.setattr(module, "_insert", insert)
    assert merged(archive, ours).runs == 5


def test_folders_of_a_killed_import_make_way(archive: Path, ours: Store, tmp_path: Path) -> None:
    folder = tmp_path / "ours" / "r_2"
    folder.mkdir()
    (folder / "weights.msgpack").write_bytes(b"half")
    merged(archive, ours)
    assert (folder / "weights.msgpack").read_bytes() == b"weights.msgpack of r_2"
    assert not [name for name in os.listdir(tmp_path / "ours") if name.startswith(".")]


def test_a_state_that_changes_after_the_look_is_looked_at_again(
    archive: Path, ours: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = module._planned
    looks = []

    def look(*arguments: object) -> object:
        plan = planned(*arguments)  # type: ignore[arg-type]
        looks.append(plan)
        if len(looks) == 1:
            ours.create_model(a_model("m_theirs"))
        return plan

    monkeypatch.setattr(module, "_planned", look)
    with pytest.raises(ArchiveError, match="differs from the archive: model m_theirs"):
        merged(archive, ours)
    assert len(looks) == 2 and [run.run_id for run in ours.list_runs()] == ["r_ours"]
