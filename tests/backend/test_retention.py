"""Old runs go by themselves where the settings say so; promoted ones, and those that others continue, stay."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from backend.actions.deletion import Deletion
from backend.actions.retention import Retention
from backend.events.wire import state_data
from backend.state.checkpoints import Checkpoints
from backend.state.store import Store
from backend.state.tables import change, find
from tests.backend.conftest import BODY, finish, offline_app, parts
from tests.backend.samples import add_run, eventually


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "state" / "lamina.sqlite3")
    yield store
    store.close()


def ended(store: Store, run_id: str, at: str = "2026-11-29", state: Any = "cancelled", **fields: object) -> str:
    add_run(store, run_id, **fields)
    store.transition(run_id, state, data=state_data(run_id, state), completed_at=f"{at}T00:00:00.000000+00:00")
    folder = store._path.parent / run_id
    folder.mkdir()
    (folder / "training.msgpack").write_bytes(b"t")
    return run_id


def retention(store: Store, **rules: int) -> Retention:
    nobody: Any = SimpleNamespace(cancelling=lambda: None, forget=lambda run_ids: None)
    deletion = Deletion(store, Checkpoints(store._path.parent), nobody, nobody)
    return Retention(store, deletion, **{"keep_runs": 0, "keep_days": 0, **rules})


def left(store: Store) -> list[str]:
    runs = [run.run_id for run in store.list_runs()]
    folders = {path.name for path in store._path.parent.glob("r_*")}
    assert folders - {"r_damaged"} <= set(runs), "files go with their records"
    return runs


def test_so_many_of_those_that_ended_last_stay(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(5):
        ended(store, f"r_{number}", f"2026-01-{9 - number:02}")  # clocks do not count
    add_run(store, "r_waiting")
    with caplog.at_level(logging.INFO, logger="lamina.runs"):
        retention(store, keep_runs=2).apply()
    assert left(store) == ["r_waiting", "r_4", "r_3"]
    assert caplog.messages == [
        f"run r_{number} deleted: it is none of the 2 that ended last (--keep-runs)" for number in range(3)
    ]


def test_runs_stay_for_so_many_days(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    ended(store, "r_old", "2020-01-01")
    ended(store, "r_new", "2999-01-01")
    with caplog.at_level(logging.INFO, logger="lamina.runs"):
        retention(store, keep_days=30).apply()
    assert left(store) == ["r_new"]
    reason = "it ended at 2020-01-01T00:00:00.000000+00:00, more than 30 days ago (--keep-days)"
    assert caplog.messages == [f"run r_old deleted: {reason}"]


def test_nothing_is_deleted_unless_a_rule_says_so(store: Store) -> None:
    ended(store, "r_old", "2020-01-01")
    retention(store).apply()
    assert left(store) == ["r_old"]


def test_what_others_need_stays(store: Store) -> None:
    promoted, source, damaged = (ended(store, f"r_{name}", "2020-01-01") for name in ("promoted", "source", "damaged"))
    store.update_model("m_1", saved_run_id=promoted)
    add_run(store, "r_waiting", resumed_from=source)
    store._writer.execute("UPDATE runs SET epoch = 77 WHERE run_id = ?", (damaged,))
    resumed = ended(store, "r_resumed", "2020-01-01")
    store.update_run(resumed, resumable=True)
    store.resume(resumed, data=state_data(resumed, "queued"), queued=True)
    retention(store, keep_runs=1, keep_days=1).apply()
    assert set(left(store)) == {promoted, source, "r_waiting", resumed}
    assert (store._path.parent / damaged).is_dir()
    store.transition("r_waiting", "cancelled", data={})
    retention(store, keep_days=1).apply()
    assert set(left(store)) == {promoted, "r_waiting", resumed}


def test_a_model_that_was_made_for_a_run_goes_with_it(store: Store) -> None:
    ended(store, "r_1", "2020-01-01", model_id="m_made")
    ended(store, "r_2", "2020-01-01", model_id="m_kept")
    with store.writing() as connection:
        change(connection, "models", find(connection, "models", "m_made"), {"made_for_run": True})
    retention(store, keep_days=1).apply()
    assert left(store) == [] and [model.model_id for _, model in store.each_model()] == ["m_kept"]


def test_the_end_of_a_run_is_a_moment_for_it(tmp_path: Path) -> None:
    app = offline_app(tmp_path, keep_runs=1)
    try:
        client = app.test_client()
        assert client.get("/api/health").json["retention"] == {"keep_runs": 1, "keep_days": 0}
        ids = []
        for _ in range(2):
            ids.append(client.post("/api/train", json=BODY).json["run_id"])
            assert finish(client, ids[-1])["state"] == "succeeded"
        eventually(lambda: client.get(f"/api/runs/{ids[0]}").status_code == 404, what="deletion")
        assert client.get(f"/api/runs/{ids[1]}").status_code == 200
        eventually(lambda: not parts(app).checkpoints.folder(ids[0]).exists())
        (model,) = client.get("/api/models").json
        assert model["runs_total"] == 1, "the model of the first run went with it"
    finally:
        parts(app).close()
