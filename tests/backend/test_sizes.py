"""What runs, models and the whole state take on the disk."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from backend.state import sizes
from backend.state.sizes import Sizes, StateSize
from tests.backend.conftest import Trained, parts
from tests.backend.samples import DEADLINE, eventually


def test_a_run_has_the_size_of_what_is_on_the_disk_now(tmp_path: Path) -> None:
    found = Sizes(tmp_path)
    assert found.of_run("r_1") == 0
    (tmp_path / "r_1").mkdir()
    (tmp_path / "r_1" / "training.msgpack").write_bytes(b"12345")
    assert found.of_run("r_1") == 5
    (tmp_path / "r_1" / "weights.msgpack").write_bytes(b"123")
    (tmp_path / "r_1" / "run.json").write_bytes(b"{}")
    (tmp_path / "r_1" / "notes.txt").write_bytes(b"somebody's")
    assert (found.of_run("r_1"), found.of_runs(["r_1", "r_0"])) == (10, 10)


def test_every_answer_about_runs_and_models_has_their_sizes(trained: Trained) -> None:
    folder = parts(trained.app).checkpoints.folder(trained.run_id)
    size = sum(path.stat().st_size for path in folder.iterdir())
    assert size > 1000
    ask = trained.client.get
    model = ask(f"/api/models/{trained.model_id}").json
    assert ask(f"/api/runs/{trained.run_id}").json["size_bytes"] == model["runs"][-1]["size_bytes"] == size
    listed = {run["run_id"]: run for run in ask("/api/runs").json["runs"]}
    assert listed[trained.run_id]["size_bytes"] == size
    assert model["size_bytes"] == sum(run["size_bytes"] for run in model["runs"])
    assert model["size_bytes"] == next(
        each["size_bytes"] for each in ask("/api/models").json if each["model_id"] == trained.model_id
    )


def test_the_size_of_the_state_is_in_health_and_among_the_metrics(trained: Trained) -> None:
    eventually(lambda: trained.client.get("/api/health").json["state_bytes"])
    assert trained.client.get("/api/health").json["state_bytes"] > 1000
    assert b"\nlamina_state_bytes " in trained.client.get("/metrics").data


def test_who_asks_for_the_size_of_the_state_never_waits_for_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    hangs, walk = threading.Event(), sizes.os.walk
    asked = []

    def stuck(root: Path) -> object:
        asked.append(root)
        assert hangs.wait(DEADLINE)
        return walk(root)

    monkeypatch.setattr(sizes.os, "walk", stuck)
    size = StateSize(tmp_path)
    assert [size.known() for _ in range(5)] == [None] * 5
    hangs.set()
    eventually(lambda: size.known() == 5)
    (tmp_path / "more").write_bytes(b"12345")
    assert size.known() == 5 and len(asked) == 1, "a sum holds for a while"
    (tmp_path / "second name").hardlink_to(tmp_path / "more")
    size._stale_at = 0.0
    eventually(lambda: size.known() == 10)
