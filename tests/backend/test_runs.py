"""/api/runs: lists and records."""

from __future__ import annotations

import json
import threading

import pytest
from flask import Flask
from flask.testing import FlaskClient

from nets.errors import DataError
from tests.backend.conftest import BODY, NET, Trained, finish, wait_running
from tests.backend.samples import METRIC


@pytest.fixture(scope="module")
def client(trained: Trained) -> FlaskClient:
    return trained.client


def test_runs_are_listed_newest_first_and_filtered(app: Flask, held: threading.Event) -> None:
    client = app.test_client()
    started = [client.post("/api/train", json={**BODY, "queue": True}).json for _ in range(3)]
    ids = [run["run_id"] for run in started]
    wait_running(client, ids[0])

    def listed(query: str) -> list[str]:
        return [run["run_id"] for run in client.get(f"/api/runs{query}").json["runs"]]

    assert listed("") == ids[::-1]
    assert listed("?limit=2") == [ids[2], ids[1]]
    assert listed("?state=queued") == [ids[2], ids[1]] and listed("?state=running") == [ids[0]]
    assert listed(f"?model_id={started[1]['model_id']}") == [ids[1]]
    assert listed(f"?model_id={started[1]['model_id']}&state=running") == listed("?model_id=nope") == []


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (
            "state=done",
            'state: must be one or more of queued, running, succeeded, failed, cancelled, separated by commas, got "done"',
        ),
        ("state=", "state: must be one or more of"),
        ("limit=0", 'limit: must be a whole number from 1 to 10000, got "0"'),
        ("limit=-1", "limit: must be a whole number"),
        ("limit=ten", "limit: must be a whole number"),
        ("limit=1.0", "limit: must be a whole number"),
        ("limit=%D9%A3", "limit: must be a whole number"),
        ("limit=" + "9" * 5000, "limit: must be a whole number"),
        ("limit=1&limit=2", "limit came 2 times"),
        ("before=0", "before: must be a whole number"),
        ("before=r_1", "before: must be a whole number"),
        ("include=metric", "include: must be one or more of metrics, sample_predictions, worst, architecture"),
        ("include=", "include: must be one or more of"),
        ("stat=queued", "Did you mean 'state'?"),
    ],
)
def test_bad_filters_are_a_400(client: FlaskClient, query: str, message: str) -> None:
    answer = client.get(f"/api/runs?{query}")
    assert answer.status_code == 400 and message in answer.json["error"], answer.json


def test_a_run_tells_everything_about_itself(trained: Trained) -> None:
    run = trained.client.get(f"/api/runs/{trained.run_id}").json
    assert run["state"] == "succeeded" and run["model_id"] == trained.model_id and run["error"] is None
    assert run["architecture"] == NET and run["hyperparams"]["batch_size"] == 32 and run["hyperparams"]["seed"] == 42
    assert run["dataset_type"] == "digits" and run["precision"] == "float32" and run["compile_seconds"] >= 0
    assert len(run["weights_sha256"]) == 64 and {"jax", "flax", "optax", "lamina"} <= run["versions"].keys()
    assert run["created_at"] <= run["started_at"] <= run["completed_at"] and run["device"]
    assert [metric.keys() for metric in run["metrics"]] == [METRIC] * 2
    assert all(
        type(value) in (int, float) for metric in run["metrics"] for name, value in metric.items() if name != "run_id"
    )


def test_unknown_runs_are_a_404(client: FlaskClient) -> None:
    for path in ("", "/metrics", "/metrics.csv", "/events"):
        answer = client.get(f"/api/runs/r_nope{path}")
        assert answer.status_code == 404 and "There is no run 'r_nope'" in answer.json["error"]


def test_a_run_whose_named_data_set_cannot_be_had_fails_with_the_cure(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(name: str, *_: object, **__: object) -> None:
        raise DataError(f"{name} cannot be fetched: no network. Run `lamina datasets prepare {name}` elsewhere")

    monkeypatch.setattr("backend.training.executor.fetch", unreachable)
    client = app.test_client()
    accepted = client.post("/api/train", json={**BODY, "hyperparams": {"dataset_type": "mnist"}})
    assert accepted.status_code == 202, "the data set is not asked for before the run starts"
    record = finish(client, accepted.json["run_id"])
    assert record["state"] == "failed" and "lamina datasets prepare mnist" in record["error"]
    assert record["dataset_type"] == "mnist"


def test_json_answers_hold_no_nan(trained: Trained) -> None:
    for path in ("/api/models", "/api/runs", f"/api/runs/{trained.run_id}", "/api/health", "/api/datasets"):
        json.loads(trained.client.get(path).data, parse_constant=lambda token: pytest.fail(token))
