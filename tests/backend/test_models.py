"""/api/models: lists, records, deletion."""

from __future__ import annotations

from pathlib import Path

from flask import Flask

from tests.backend.conftest import BODY, NET, PARAMS, Trained, finish
from tests.backend.samples import SUMMARY

RUN = {
    *("run_id", "model_id", "state", "created_at", "completed_at", "epochs_total", "epoch", "metrics", "test_accuracy"),
    *("error", "saved_model_path", "sample_predictions", "hyperparams", "architecture"),
}


def test_the_list_is_a_bare_array_of_summaries(trained: Trained) -> None:
    answer = trained.client.get("/api/models")
    assert answer.status_code == 200 and isinstance(answer.json, list)
    [summary] = [model for model in answer.json if model["model_id"] == trained.model_id]
    assert summary.keys() >= SUMMARY
    assert summary["architecture"] == NET and summary["hyperparams"] == PARAMS
    assert (summary["name"], summary["runs_total"]) == ("shared", 1)
    run = trained.client.get(f"/api/runs/{trained.run_id}").json
    assert summary["highest_accuracy"] == run["test_accuracy"] > 0.3
    assert summary["last_trained_at"] == run["completed_at"]
    expected = {key: run[key] for key in ("run_id", "completed_at", "test_accuracy", "saved_model_path")}
    assert summary["latest_run"] == expected


def test_a_model_shows_its_runs(trained: Trained) -> None:
    model = trained.client.get(f"/api/models/{trained.model_id}").json
    [run] = model["runs"]
    assert run.keys() >= RUN
    assert run["run_id"] == trained.run_id and len(run["metrics"]) == run["epoch"] == run["epochs_total"] == 2
    assert run["saved_model_path"] == f"state/{trained.run_id}/weights.msgpack"
    assert len(run["sample_predictions"]) == 8 and run["error"] is None


def test_unknown_models_are_a_404(trained: Trained) -> None:
    for method, path in (("GET", ""), ("DELETE", "")):
        answer = trained.client.open(f"/api/models/m_nope{path}", method=method)
        assert answer.status_code == 404 and "m_nope" in answer.json["error"]
    answer = trained.client.post("/api/models/m_nope/save", json={"run_id": trained.run_id})
    assert answer.status_code == 404 and "no model 'm_nope'" in answer.json["error"]


def test_deleting_a_model_deletes_its_runs_and_files(app: Flask, tmp_path: Path) -> None:
    client = app.test_client()
    started = client.post("/api/train", json=BODY).json
    run_id = started["run_id"]
    finish(client, run_id)
    assert client.post("/api/infer", json={"run_id": run_id, "pixels": [0] * 784}).status_code == 200
    assert (tmp_path / "state" / run_id / "weights.msgpack").is_file()
    answer = client.delete(f"/api/models/{started['model_id']}")
    assert answer.json == {"model_id": started["model_id"], "deleted": True, "runs_deleted": [run_id]}
    assert not (tmp_path / "state" / run_id).exists()
    for path in (f"/api/models/{started['model_id']}", f"/api/runs/{run_id}", f"/api/runs/{run_id}/events"):
        assert client.get(path).status_code == 404
    assert client.post("/api/infer", json={"run_id": run_id, "pixels": [0] * 784}).status_code == 404
