"""Deleting takes the files along, waits for nobody, and takes nothing that is in use."""

from __future__ import annotations

import json
import os
import re
import threading
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from backend.store_errors import UnknownRecord
from backend.stream import PAGE
from tests.backend.conftest import BODY, finish, parts, wait_running
from tests.backend.samples import add_run


def test_a_run_is_deleted_with_its_files(app: Flask, tmp_path: Path) -> None:
    client = app.test_client()
    started = client.post("/api/train", json=BODY).json
    run_id = started["run_id"]
    finish(client, run_id)
    question = {"run_id": run_id, "pixels": [0] * 784}
    assert client.post("/api/infer", json=question).status_code == 200
    assert {"weights.msgpack", "training.msgpack"} <= set(os.listdir(tmp_path / "state" / run_id))
    answer = client.delete(f"/api/runs/{run_id}")
    assert (answer.status_code, answer.json) == (200, {"run_id": run_id, "deleted": True})
    assert not (tmp_path / "state" / run_id).exists()
    for path in ("", "/events", "/metrics", "/metrics.csv"):
        assert client.get(f"/api/runs/{run_id}{path}").status_code == 404
    assert client.post("/api/infer", json=question).status_code == 404
    assert client.delete(f"/api/runs/{run_id}").status_code == 404
    model = client.get(f"/api/models/{started['model_id']}").json
    assert (model["runs_total"], model["latest_run"], model["runs"]) == (0, None, [])


def test_an_active_run_is_not_deleted(client: FlaskClient, held: threading.Event) -> None:
    first = client.post("/api/train", json=BODY).json["run_id"]
    second = client.post("/api/train", json={**BODY, "queue": True}).json["run_id"]
    wait_running(client, first)
    for run_id in (first, second):
        answer = client.delete(f"/api/runs/{run_id}")
        assert answer.status_code == 409 and f"cancel it with POST /api/train/{run_id}/cancel" in answer.json["error"]
    for run_id in (second, first):
        client.post(f"/api/train/{run_id}/cancel")
        assert finish(client, run_id)["state"] == "cancelled"
        assert client.delete(f"/api/runs/{run_id}").status_code == 200


def test_a_run_that_a_model_was_promoted_from_is_not_deleted(app: Flask) -> None:
    client = app.test_client()
    started = client.post("/api/train", json=BODY).json
    run_id, model_id = started["run_id"], started["model_id"]
    finish(client, run_id)
    client.post(f"/api/models/{model_id}/save", json={"run_id": run_id})
    refused = client.delete(f"/api/runs/{run_id}")
    assert refused.status_code == 409 and f"what model {model_id} was promoted from" in refused.json["error"]
    assert client.post("/api/infer", json={"run_id": run_id, "pixels": [0] * 784}).status_code == 200
    cure = json.loads(re.search(r"\{.*?\}", refused.json["error"])[0])
    assert client.post("/api/models", json=cure).status_code == 200
    assert client.delete(f"/api/runs/{run_id}").status_code == 200


def test_a_stream_ends_when_its_run_is_deleted(app: Flask) -> None:
    """In the middle of a replay, which reads a page of events at a time."""
    store = parts(app).store
    add_run(store, "r_long")
    store.transition("r_long", "running", data={})
    for _ in range(2 * PAGE):
        store.append_event("r_long", "log", {"message": "x"})
    store.transition("r_long", "failed", data={})
    frames = parts(app).log.follow("r_long", after=0)
    assert b"retry" in next(frames)
    heard = [next(frames)]
    assert app.test_client().delete("/api/runs/r_long").status_code == 200
    heard.extend(frames)
    assert len(heard) == PAGE


def test_a_run_deleted_while_it_is_promoted_is_not_promoted(app: Flask) -> None:
    store = parts(app).store
    add_run(store, "r_1")
    with pytest.raises(UnknownRecord):
        store.update_model("m_1", trained=True, saved_run_id="r_gone")
    assert not store.get_model("m_1").trained
