"""On a full disk nothing is written but deletions, which make room."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from flask import Flask

from backend.state.reserve import NAME, SIZE, Reserve
from backend.state.store import STORE_FILE, Store
from tests.backend.conftest import BODY, offline_app, parts
from tests.backend.samples import a_model, add_run
from tests.robustness.disks import Filler, mount, unmount


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Filler]:
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    mount("-t", "tmpfs", "-o", "size=24m,mode=700", "tmpfs", state)
    yield Filler(state / "filler")
    unmount(state)


@pytest.fixture
def app(disk: Filler) -> Iterator[Flask]:
    app = offline_app(disk.path.parent.parent)
    yield app
    parts(app).close()


def test_deleting_works_on_a_full_disk_and_makes_room(app: Flask, disk: Filler) -> None:
    client, store = app.test_client(), parts(app).store
    assert (disk.path.parent / NAME).stat().st_size == SIZE
    for number in range(30):
        add_run(store, f"r_{number}", model_id=f"m_{number % 3}")
        store.transition(f"r_{number}", "running", data={})
        store.transition(f"r_{number}", "failed", data={"error": 9000 * "x"})
    weights = disk.path.parent / "r_7" / "weights.msgpack"
    weights.parent.mkdir()
    weights.write_bytes(os.urandom(1 << 20))
    disk.fill()
    refused = []
    while len(refused) < 3:  # until what the log holds in reserve is used as well
        answer = client.post("/api/models", json={"name": "one more", "description": 1900 * "x"})
        refused += [answer] if answer.status_code != 201 else []
    refused.append(client.post("/api/train", json=BODY))
    for answer in refused:
        assert answer.status_code == 507
        assert "cannot be written (database or disk is full)" in answer.json["error"]
        assert "DELETE /api/runs/<id> or DELETE /api/models/<id>, which work on a full disk" in answer.json["error"]
    for number in range(0, 30, 3):  # all of one model: each without files that would make room
        assert client.delete(f"/api/runs/r_{number}").status_code == 200
    assert client.delete("/api/models/m_2").status_code == 200
    assert client.get("/api/models/m_0").json["runs_total"] == 0
    assert client.delete("/api/runs/r_7").status_code == 200 and not weights.exists()
    assert client.post("/api/models", json={"name": "there is room again"}).status_code == 201


def test_a_full_disk_is_opened_and_cleared_up(disk: Filler) -> None:
    """As `lamina gc` does."""
    state = disk.path.parent
    store = Store(state / STORE_FILE)
    store.keep_reserve()
    store.create_model(a_model())
    store.close()
    disk.fill()
    store = Store(state / STORE_FILE)
    assert store.delete_model("m_1") == []
    store.close()


def test_a_small_disk_is_not_filled_with_a_reserve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reserve = Reserve(tmp_path)
    monkeypatch.setattr("backend.state.reserve.shutil.disk_usage", lambda _: type("Usage", (), {"free": 2 * SIZE}))
    reserve.keep()
    assert not (tmp_path / NAME).exists() and not reserve.give_back()


def test_a_server_starts_on_a_full_disk_and_ends_what_was_cut_off(disk: Filler) -> None:
    """Else it could not be asked to delete anything."""
    state = disk.path.parent
    with closing(Store(state / STORE_FILE)) as store:
        store.keep_reserve()
        add_run(store)
        store.transition("r_1", "running", data={})
    disk.fill()
    app = offline_app(state.parent)
    assert app.test_client().get("/api/runs/r_1").json["state"] == "failed"
    assert app.test_client().delete("/api/runs/r_1").status_code == 200
    parts(app).close()
