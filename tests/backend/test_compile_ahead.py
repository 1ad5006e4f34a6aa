"""What a server compiles and reads before anybody asks."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from backend.training.compile_ahead import CompileAhead
from nets import datasets
from nets.datasets import cache
from nets.training import programs
from nets.training.cache import ProgramCache
from nets.training.workload import Workload
from tests.backend.conftest import BODY, NET, finish, offline_app, parts
from tests.backend.samples import ARCHITECTURE, add_run, eventually
from tests.nets.dataset_files import arrays

DEADLINE = 60.0


def compiled(wanted: Workload, cache: ProgramCache) -> bool:
    return all(part.key in cache for part in programs.parts(wanted))


def test_a_new_server_reads_the_data_that_most_begin_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[tuple[str, Path]] = []
    monkeypatch.setattr(datasets, "load", lambda *asked: read.append(asked))
    cache.write(cache.cache_path("mnist", tmp_path / "data"), arrays("mnist"))
    app = offline_app(tmp_path)
    try:
        eventually(lambda: read)
        assert read == [("mnist", tmp_path / "data")]
    finally:
        parts(app).close()


def test_a_run_that_never_came_to_the_end_of_an_epoch_is_not_compiled_by_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be what killed the server before."""
    app = offline_app(tmp_path)
    for epoch in (1, 0):
        add_run(parts(app).store, f"r_{epoch}", epoch=epoch, model_id=f"m_{epoch}")
        parts(app).store.update_model(f"m_{epoch}", architecture=ARCHITECTURE)
    for run_id in ("r_0", "r_1"):
        asked: list[str] = []
        monkeypatch.setattr(CompileAhead, "workload_of", lambda self, model, asked=asked: asked.append(model.model_id))
        done = threading.Event()
        parts(app).compile_ahead.newest(parts(app).store)
        parts(app).warmer.warm(done.set)
        assert done.wait(DEADLINE)
        assert asked == (["m_1"] if run_id == "r_1" else [])
        parts(app).store.transition(run_id, "cancelled", data={})
        parts(app).store.delete_run(run_id)
    parts(app).close()


@pytest.mark.slow
def test_a_server_over_earlier_runs_compiles_the_newest_one(tmp_path: Path) -> None:
    layers = [{"type": "linear", "in": 784, "out": 21}, {"type": "linear", "in": 21, "out": 10}]
    body = {**BODY, "architecture": {**NET, "layers": layers}}
    app = offline_app(tmp_path, programs=ProgramCache())
    client = app.test_client()
    run = finish(client, client.post("/api/train", json=body).json["run_id"])
    assert run["state"] == "succeeded"
    model = parts(app).store.get_model(run["model_id"])
    assert model is not None
    wanted = parts(app).compile_ahead.workload_of(model)
    assert wanted is not None and compiled(wanted, parts(app).programs)
    parts(app).close()
    app = offline_app(tmp_path, programs=ProgramCache())
    try:
        eventually(lambda: compiled(wanted, parts(app).programs), within=DEADLINE)
    finally:
        parts(app).close()
