"""What `lamina gc` finds is what nobody needs, and all of it."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from backend.events.wire import state_data
from backend.state import garbage as module
from backend.state.garbage import ACTIVE_RUN, COMMAND, KINDS, NEEDED, YOUNG, Kind, garbage, remove, sifted
from backend.state.store import STORE_FILE, Store
from backend.state.working import folder_for, working
from tests.backend.samples import add_run


@pytest.fixture
def state(tmp_path: Path) -> Path:
    (tmp_path / "state").mkdir()
    return tmp_path / "state"


@pytest.fixture
def store(state: Path) -> Iterator[Store]:
    store = Store(state / STORE_FILE)
    yield store
    store.close()


def put(path: Path, size: int = 10) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    return path


def ended(store: Store, run_id: str, state: str, **fields: object) -> str:
    """A run that has come to its end."""
    add_run(store, run_id)
    if state == "succeeded":
        store.transition(run_id, "running", data=state_data(run_id, "running"))
        fields = {"saved_model_path": f"state/{run_id}/weights.msgpack", "weights_sha256": "00", **fields}
    store.transition(run_id, state, data=state_data(run_id, state), **fields)
    return run_id


def kinds(state: Path, store: Store) -> dict[str, Kind]:
    return {str(each.path.relative_to(state.parent)): each.kind for each in garbage(state, store)}


def listing(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.name.startswith(STORE_FILE)}


def test_what_records_need_is_no_garbage(state: Path, store: Store) -> None:
    for name in ("weights.msgpack", "run.json", "training.msgpack"):
        put(state / ended(store, f"r_{name[0]}", "succeeded") / name)
        put(state / f"r_{name[0]}" / "weights.msgpack")
    put(state / ended(store, "r_cut", "failed", resumable=True, epoch=2) / "training.msgpack")
    ended(store, "r_fresh", "cancelled", resumable=True)  # goes on from its beginning: it has no state yet
    add_run(store, "r_queued")
    put(state / "r_queued" / "training.msgpack")
    put(state / "demo" / "train.json")
    put(state / "notes.txt")
    put(state / "compiled" / "jit_step-cache")
    before = listing(state)
    assert garbage(state, store) == []
    assert remove(garbage(state, store), store, state) == ([], []) and listing(state) == before


def test_every_kind_is_found_and_removed(state: Path, store: Store) -> None:
    put(state / ended(store, "r_good", "succeeded") / "weights.msgpack")
    put(state / "r_deleted" / "weights.msgpack", 100)
    put(state / "r_deleted" / "run.json", 20)
    put(state / ended(store, "r_failed", "failed") / "weights.msgpack")
    put(state / ended(store, "r_cut", "failed", resumable=True, epoch=1) / "weights.msgpack")
    put(state / "r_cut" / "training.msgpack")
    put(state / "r_good" / ".training.msgpack.77.tmp")
    put(state / "r_good" / "weights.msgpack.new")
    put(state / ".lamina.77.tmp")
    put(state.parent / ".state.import-0123" / "lamina.sqlite3")
    put(state / ".export-0123456789ab" / "r_good" / "weights.msgpack")
    old = put(state / "compiled" / "jit_old-cache")
    os.utime(old, (time.time() - 40 * 86_400,) * 2)
    put(state / "compiled" / "jit_new-cache")
    ended(store, "r_lost", "succeeded")
    ended(store, "r_stateless", "cancelled", resumable=True, epoch=3)

    assert kinds(state, store) == {
        "state/r_deleted": "unrecorded_run",
        "state/r_failed": "unrecorded_weights",
        "state/r_cut/weights.msgpack": "unrecorded_weights",
        "state/.lamina.77.tmp": "unfinished_file",
        "state/r_good/.training.msgpack.77.tmp": "unfinished_file",
        "state/r_good/weights.msgpack.new": "unfinished_file",
        ".state.import-0123": "unfinished_import",
        "state/.export-0123456789ab": "unfinished_work",
        "state/compiled/jit_old-cache": "old_program",
        "state/r_lost/weights.msgpack": "weights_gone",
        "state/r_stateless/training.msgpack": "training_state_gone",
    }
    found = garbage(state, store)
    assert next(each.size for each in found if each.kind == "unrecorded_run") == 120
    assert remove(found, store, state) == ([], [])
    assert garbage(state, store) == []
    assert listing(state.parent) == {
        *("state", "state/compiled", "state/compiled/jit_new-cache"),
        *("state/r_good", "state/r_good/weights.msgpack", "state/r_cut", "state/r_cut/training.msgpack"),
    }


def test_a_record_without_weights_stays_with_its_history(state: Path, store: Store) -> None:
    ended(store, "r_lost", "succeeded", test_accuracy=0.9)
    store.update_model("m_1", trained=True, saved_model_path="state/r_lost/weights.msgpack", saved_run_id="r_lost")
    remove(garbage(state, store), store, state)
    run, model = store.get_run("r_lost"), store.get_model("m_1")
    assert run is not None and model is not None
    assert (run.state, run.test_accuracy, run.saved_model_path, run.weights_sha256) == ("succeeded", 0.9, None, "00")
    assert (model.trained, model.saved_model_path, model.saved_run_id) == (False, None, None)
    assert len(store.events("r_lost")) == 3


def test_a_spent_training_state_goes_and_its_folder_with_it(state: Path, store: Store) -> None:
    ended(store, "r_1", "failed", resumable=True, epoch=2)
    put(state / "r_1" / "training.msgpack")
    put(state / "r_1" / "run.json")
    assert kinds(state, store) == {"state/r_1/run.json": "unrecorded_weights"}
    store.update_run("r_1", resumable=False)
    assert kinds(state, store) == {"state/r_1": "unrecorded_weights"}
    remove(garbage(state, store), store, state)
    assert not (state / "r_1").exists()


def test_no_link_is_followed(state: Path, store: Store) -> None:
    outside = put(state.parent / "outside" / "weights.msgpack")
    (state / "r_link").symlink_to(outside.parent)
    put(state / "r_orphan" / "weights.msgpack")
    (state / "r_orphan" / "link").symlink_to(outside.parent)
    (state / "r_orphan" / "file").symlink_to(outside)
    remove(garbage(state, store), store, state)
    assert outside.read_bytes() == b"x" * 10 and (state / "r_link").is_symlink()
    assert not (state / "r_orphan").exists()


def test_programs_that_were_used_while_the_clock_was_wrong_are_not_old(state: Path, store: Store) -> None:
    """It was a year behind, and is right again."""
    ended(store, "r_1", "succeeded")
    put(state / "r_1" / "weights.msgpack")
    then = time.time() - 365 * 86_400
    os.utime(put(state / "compiled" / "jit_used-cache"), (then, then))
    os.utime(put(state / "compiled" / "jit_old-cache"), (then - 31 * 86_400,) * 2)
    put(state / "compiled" / "jit_before-cache")
    os.utime(state / STORE_FILE, (then, then))
    assert kinds(state, store) == {"state/compiled/jit_old-cache": "old_program"}


def test_the_folder_of_a_run_whose_record_is_damaged_is_no_garbage(state: Path, store: Store) -> None:
    put(state / ended(store, "r_1", "succeeded") / "weights.msgpack")
    put(state / "r_orphan" / "weights.msgpack")
    assert kinds(state, store) == {"state/r_orphan": "unrecorded_run"}
    with closing(sqlite3.connect(state / STORE_FILE)) as connection:
        connection.execute("UPDATE runs SET run_id = 'r_2', epoch = 9")
        connection.commit()
    assert kinds(state, store) == {}
    assert remove(garbage(state, store), store, state) == ([], []) and (state / "r_1" / "weights.msgpack").exists()
    assert "the record of run r_2 in lamina.sqlite3 is damaged and left out" in store.unreadable.sentences()[0]


def test_beside_a_server_the_young_and_the_active_are_left(state: Path, store: Store) -> None:
    add_run(store, "r_active")
    put(state / "r_active" / ".training.msgpack.77.tmp")
    put(state / "r_submitted" / "training.msgpack")  # its record comes next
    put(state / ".lamina.77.tmp")
    put(state / ended(store, "r_failed", "failed") / "weights.msgpack")
    ended(store, "r_lost", "succeeded")
    with working(folder_for(state, "export")) as folder:
        good, left = sifted(garbage(state, store), store, beside=True)
        assert [each.kind for each in good] == ["weights_gone"]
        assert {each.found.path.name: each.reason for each in left} == {
            folder.name: COMMAND,
            ".training.msgpack.77.tmp": ACTIVE_RUN,
            **dict.fromkeys(("r_submitted", ".lamina.77.tmp", "r_failed"), YOUNG),
        }
        good, left = sifted(garbage(state, store), store, beside=False)
        assert [each.found.path for each in left] == [folder] and len(good) == 5


def test_what_has_become_old_goes_beside_a_server_too(
    state: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(state / "r_deleted" / "weights.msgpack")
    put(state / ".export-0123456789ab" / "r_1" / "weights.msgpack")  # that command is gone, whenever it began
    put(state / ended(store, "r_failed", "failed") / "weights.msgpack")
    put(state / ended(store, "r_cut", "failed", resumable=True) / "weights.msgpack")
    put(state / "r_cut" / "training.msgpack")
    monkeypatch.setattr(module, "RECENT_SECONDS", 0.0)
    found, left = sifted(garbage(state, store), store, beside=True)
    assert not left and remove(found, store, state, beside=True) == ([], [])
    assert listing(state) == {"r_cut", "r_cut/training.msgpack"}


def test_each_record_is_looked_at_again_before_anything_goes(state: Path, store: Store) -> None:
    """Between the list and the removal, runs were made, resumed and ended."""
    put(state / "r_new" / "training.msgpack")
    put(state / ended(store, "r_cut", "failed", resumable=True) / "weights.msgpack")
    ended(store, "r_stateless", "cancelled", resumable=True, epoch=3)
    found = garbage(state, store)
    assert len(found) == 3
    add_run(store, "r_new")
    store.resume("r_cut", data=state_data("r_cut", "queued"), queued=False)
    put(state / "r_stateless" / "training.msgpack")
    before = listing(state)
    failed, left = remove(found, store, state, beside=True)
    assert not failed and [each.reason for each in left] == [NEEDED] * 3 and listing(state) == before
    kept = store.get_run("r_stateless")
    assert kept is not None and kept.resumable


def test_every_kind_says_what_it_is_and_becomes() -> None:
    assert all(len(words) == 2 and all(words) for words in KINDS.values())
