"""A run's weights made those of its model."""

from __future__ import annotations

import threading

from flask import Flask
from flask.testing import FlaskClient

from tests.backend.conftest import BODY, NET, PARAMS, Trained, finish, parts, wait_running


def test_promotion_records_the_weights(client: FlaskClient) -> None:
    started = client.post("/api/train", json=BODY).json
    record = finish(client, started["run_id"])
    before = client.get(f"/api/models/{started['model_id']}").json
    assert (before["trained"], before["saved_model_path"], before["saved_model_exists"]) == (False, None, False)
    answer = client.post(f"/api/models/{started['model_id']}/save", json={"run_id": started["run_id"]})
    assert answer.status_code == 200
    assert answer.json["model_id"] == started["model_id"] and answer.json["run_id"] == started["run_id"]
    assert answer.json["trained"] is True and answer.json["saved_model_path"] == record["saved_model_path"]
    assert answer.json["architecture"] == NET and answer.json["hyperparams"] == PARAMS
    model = client.get(f"/api/models/{started['model_id']}").json
    assert model["trained"] and model["saved_model_exists"] and model["saved_model_path"] == record["saved_model_path"]

    named = client.post("/api/models/save", json={"run_id": started["run_id"], "name": "the best"})
    assert named.status_code == 201
    wanted = {"model_id", "run_id", "saved_path", "saved_model_path", "trained", "name", "architecture", "hyperparams"}
    assert named.json.keys() >= wanted and named.json["name"] == "the best" and named.json["trained"] is True
    assert named.json["saved_path"] == record["saved_model_path"]
    assert client.get(f"/api/models/{started['model_id']}").json["name"] == "the best"

    path = {"model_id": started["model_id"], "saved_model_path": record["saved_model_path"]}
    assert client.post("/api/models", json={**path, "saved_model_path": None}).json["saved_model_exists"] is False
    assert client.post("/api/models", json=path).json["saved_model_exists"] is True
    other = client.post("/api/models", json={**path, "model_id": "another"})
    assert other.status_code == 400 and "saved_model_path" in other.json["error"]

    stored = client.post(f"/api/models/{started['model_id']}/save", json=BODY).json
    assert (stored["trained"], stored["saved_model_path"], stored["saved_model_exists"]) == (False, None, False)


def test_promotion_brings_back_the_definition_of_the_weights(app: Flask, trained: Trained) -> None:
    client = app.test_client()
    started = client.post("/api/train", json=BODY).json
    run = finish(client, started["run_id"])
    changed = {"architecture": {"layers": [{"type": "linear", "out": 10}]}, "hyperparams": {"epochs": 9}}
    client.post(f"/api/models/{started['model_id']}/save", json=changed)
    saved = client.post(f"/api/models/{started['model_id']}/save", json={"run_id": started["run_id"]}).json
    assert saved["architecture"] == NET and saved["hyperparams"] == run["hyperparams"]


def test_runs_that_cannot_be_promoted(trained: Trained) -> None:
    client = trained.client
    assert client.post("/api/models/save", json={"run_id": "r_nope"}).status_code == 404
    assert client.post("/api/models/save", json={"name": "x"}).json["error"].startswith("run_id: is required")
    client.post("/api/models/other/save", json=BODY)
    answer = client.post("/api/models/other/save", json={"run_id": trained.run_id})
    assert answer.status_code == 409 and f"of model {trained.model_id}" in answer.json["error"]
    assert client.delete("/api/models/other").status_code == 200


def test_an_unfinished_run_is_not_promoted_and_keeps_its_model(app: Flask, held: threading.Event) -> None:
    client = app.test_client()
    started = client.post("/api/train", json=BODY).json
    wait_running(client, started["run_id"])
    answer = client.post("/api/models/save", json={"run_id": started["run_id"]})
    assert answer.status_code == 409 and "is running" in answer.json["error"]
    refused = client.delete(f"/api/models/{started['model_id']}")
    assert refused.status_code == 409 and started["run_id"] in refused.json["error"]
    client.post(f"/api/train/{started['run_id']}/cancel")
    assert finish(client, started["run_id"])["state"] == "cancelled"
    answer = client.post("/api/models/save", json={"run_id": started["run_id"]})
    assert answer.status_code == 409 and "is cancelled" in answer.json["error"]
    assert client.delete(f"/api/models/{started['model_id']}").status_code == 200


def test_weights_that_are_gone_are_not_promoted(app: Flask) -> None:
    client = app.test_client()
    started = client.post("/api/train", json=BODY).json
    finish(client, started["run_id"])
    parts(app).checkpoints.weights(started["run_id"]).unlink()
    answer = client.post("/api/models/save", json={"run_id": started["run_id"]})
    assert answer.status_code == 409 and "gone" in answer.json["error"]
