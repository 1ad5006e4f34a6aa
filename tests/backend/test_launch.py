"""Runs started, queued and cancelled, in which order they are refused, and what clients read meanwhile."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from nets.training.events import Progress
from tests.backend.conftest import BODY, PARAMS, Trained, finish, offline_app, parts, wait_running
from tests.backend.samples import DEADLINE, read_frame


def test_the_answer_has_what_the_frontend_reads(trained: Trained) -> None:
    answer = trained.accepted
    assert re.fullmatch(r"r_[0-9a-f]{32}", answer["run_id"]) and re.fullmatch(r"m_[0-9a-f]{32}", answer["model_id"])
    assert answer["events_url"] == f"/api/runs/{answer['run_id']}/events"
    assert (answer["status"], answer["epochs_total"], answer["metrics"]) == ("queued", 2, [])
    assert answer["test_accuracy"] is None and answer["warnings"] == [] and answer["dataset_type"] == "digits"
    assert answer["created_at"].endswith("+00:00") and "queue_position" not in answer


def test_a_bad_body_is_a_400_even_while_a_run_is_active(app: Flask, held: threading.Event) -> None:
    client = app.test_client()
    first = client.post("/api/train", json=BODY).json
    wait_running(client, first["run_id"])
    assert client.post("/api/train", json={**BODY, "hyperparams": {**PARAMS, "epochs": 0}}).status_code == 400
    assert client.post("/api/train", json={**BODY, "model_id": "m_nope"}).status_code == 404
    models = len(client.get("/api/models").json)
    busy = client.post("/api/train", json=BODY)
    assert busy.status_code == 409 and first["run_id"] in busy.json["error"] and "queue" in busy.json["error"]
    assert len(client.get("/api/models").json) == models, "a refused request leaves no model behind"


def test_a_device_that_is_not_here_is_refused_with_those_that_are(app: Flask) -> None:
    client = app.test_client()
    for path, body in (("/api/train", BODY), ("/api/models", {"name": "elsewhere"})):
        refused = client.post(path, json={**body, "hyperparams": {**PARAMS, "epochs": 0, "device": "tpu:3"}})
        assert refused.status_code == 400
        problem = next(each for each in refused.json["errors"] if each["pointer"] == "/hyperparams/device")
        assert len(refused.json["errors"]) == 2, "all problems are told at once"
        assert (problem["code"], problem["got"]) == ("not_one_of", "tpu:3")
        assert {"cpu", "cpu:0"} <= set(problem["expected"]["enum"]) and "cpu:0" in problem["detail"]
        assert problem["fix"] == [{"op": "replace", "path": "/hyperparams/device", "value": None}]
    wrong = client.post("/api/train", json={**BODY, "hyperparams": {"device": 1}}).json["errors"]
    assert [(each["pointer"], each["code"]) for each in wrong] == [("/hyperparams/device", "wrong_type")]


def test_a_record_names_the_device_and_what_it_computes_with(trained: Trained) -> None:
    record = trained.client.get(f"/api/runs/{trained.run_id}").json
    assert (record["device_id"], record["effective_precision"]) == ("cpu:0", "float32")
    assert record["device_kind"] and record["device_kind"] in record["device"]
    assert record["hyperparams"]["device"] is None


def test_of_requests_at_the_same_moment_one_wins(app: Flask, held: threading.Event) -> None:
    start, answers = threading.Barrier(6), []

    def send() -> None:
        start.wait()
        answers.append(app.test_client().post("/api/train", json=BODY).status_code)

    senders = [threading.Thread(target=send) for _ in range(6)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    assert sorted(answers) == [202] + [409] * 5
    client = app.test_client()
    assert len(client.get("/api/models").json) == len(client.get("/api/runs").json["runs"]) == 1


def test_queued_runs_wait_in_order_and_can_be_cancelled(app: Flask, held: threading.Event) -> None:
    client = app.test_client()
    first = client.post("/api/train", json={**BODY, "queue": True})
    assert first.status_code == 202 and "queue_position" not in first.json
    wait_running(client, first.json["run_id"])
    second, third = (client.post("/api/train", json={**BODY, "queue": True}).json for _ in range(2))
    assert (second["queue_position"], third["queue_position"]) == (1, 2)
    assert client.get(f"/api/runs/{third['run_id']}").json["queue_position"] == 2
    health = client.get("/api/health").json
    assert (health["active_run"], health["queue_length"]) == (first.json["run_id"], 2)

    answer = client.post(f"/api/runs/{second['run_id']}/cancel", content_type="application/json")
    assert answer.status_code == 202 and answer.json["run_id"] == second["run_id"]
    assert finish(client, second["run_id"])["state"] == "cancelled"
    assert client.get(f"/api/runs/{third['run_id']}").json["queue_position"] == 1
    assert client.post(f"/api/train/{first.json['run_id']}/cancel", json={}).status_code == 202
    assert finish(client, first.json["run_id"])["state"] == "cancelled"
    wait_running(client, third["run_id"])
    assert client.post(f"/api/train/{third['run_id']}/cancel").status_code == 202
    assert finish(client, third["run_id"])["state"] == "cancelled"
    for path in ("runs", "train"):
        again = client.post(f"/api/{path}/{third['run_id']}/cancel")
        assert again.status_code == 409 and "is cancelled" in again.json["error"]
        assert client.post(f"/api/{path}/r_nope/cancel").status_code == 404


def test_a_full_queue_is_a_503_that_leaves_nothing_behind(tmp_path: Path, held: threading.Event) -> None:
    app = offline_app(tmp_path, max_queue=2)
    client = app.test_client()
    first, second, third = (client.post("/api/train", json={**BODY, "queue": True}).json["run_id"] for _ in range(3))
    full = client.post("/api/train", json={**BODY, "queue": True})
    assert full.status_code == 503 and int(full.headers["Retry-After"]) > 0
    assert "The queue is full: 2 runs are waiting (--max-queue)" in full.json["error"]
    assert client.post("/api/train", json=BODY).status_code == 409, (
        "who does not want to wait is told of the active run"
    )
    assert client.post("/api/train", json={**BODY, "queue": True, "name": 1}).status_code == 400
    client.post(f"/api/train/{second}/cancel")
    assert client.post("/api/train", json={**BODY, "queue": True}).status_code == 202
    resumed = client.post(f"/api/runs/{second}/resume", json={"queue": True})
    assert resumed.status_code == 503 and "queue" in resumed.json["error"]
    assert client.get(f"/api/runs/{second}").json["state"] == "cancelled"
    assert len(client.get("/api/models").json) == len(client.get("/api/runs").json["runs"]) == 4
    parts(app).close()
    again = offline_app(tmp_path, max_queue=1)  # what has been accepted keeps its place
    assert parts(again).runs.queue_length() >= 1
    assert again.test_client().get(f"/api/runs/{third}").json["state"] in ("queued", "running")
    parts(again).close()


@pytest.fixture
def deep(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[threading.Event, threading.Event]]:
    """Training in a step, from when the first event is set, that does not end, whatever is asked, before the second."""
    begun, end = threading.Event(), threading.Event()

    def fit(*_: object, **__: object) -> Iterator[Progress]:
        for _ in range(3):
            yield Progress("training", 0.1, 1, 2)
            begun.set()
            end.wait(DEADLINE)

    monkeypatch.setattr("backend.training.executor.fit", fit)
    yield begun, end
    end.set()


def test_between_its_cancel_and_its_end_a_run_reads_cancelling(
    client: FlaskClient, deep: tuple[threading.Event, threading.Event]
) -> None:
    begun, end = deep
    started = client.post("/api/train", json=BODY).json
    run_id, model_id = started["run_id"], started["model_id"]
    wait_running(client, run_id)
    assert begun.wait(DEADLINE)  # a cancel before the step would end the run at once
    waiting = client.post("/api/train", json={**BODY, "queue": True}).json["run_id"]

    def views() -> list[dict[str, Any]]:
        listed = next(run for run in client.get("/api/runs").json["runs"] if run["run_id"] == run_id)
        return [client.get(f"/api/runs/{run_id}").json, listed, client.get(f"/api/models/{model_id}").json["runs"][0]]

    assert [(run["state"], run["cancelling"]) for run in views()] == [("running", False)] * 3
    for _ in range(2):
        assert client.post(f"/api/train/{run_id}/cancel").json == {
            "run_id": run_id,
            "state": "cancelling",
            "status": "cancelling",
        }
        assert [(run["state"], run["cancelling"]) for run in views()] == [("running", True)] * 3
    assert client.get(f"/api/runs/{waiting}").json["cancelling"] is False
    for method, path, body in (
        ("POST", "/api/train", BODY),
        ("DELETE", f"/api/runs/{run_id}", None),
        ("DELETE", f"/api/models/{model_id}", None),
        ("POST", f"/api/runs/{run_id}/resume", {}),
        ("POST", "/api/train", {"resume_from": run_id}),
        ("POST", "/api/infer", {"run_id": run_id, "pixels": [0] * 784}),
        ("POST", f"/api/models/{model_id}/save", {"run_id": run_id}),
    ):
        answer = client.open(path, method=method, json=body)
        assert answer.status_code == 409 and "being cancelled" in answer.json["error"], (path, answer.json)
        assert "cancel it" not in answer.json["error"], "that has been done"
    stream = parts(client.application).log.follow(run_id, after=99)
    while (frame := read_frame(next(stream)))[1] != "progress":
        pass
    assert frame[2]["cancelling"] is True
    end.set()
    assert finish(client, run_id)["state"] == "cancelled"
    assert [(run["state"], run["cancelling"]) for run in views()] == [("cancelled", False)] * 3


def test_a_finished_run_cannot_be_cancelled(trained: Trained) -> None:
    answer = trained.client.post(f"/api/train/{trained.run_id}/cancel")
    assert answer.status_code == 409 and "is succeeded" in answer.json["error"]


def test_a_server_that_stops_takes_no_runs(app: Flask) -> None:
    parts(app).runs.shutdown()
    answer = app.test_client().post("/api/train", json=BODY)
    assert answer.status_code == 503 and "stopping" in answer.json["error"]
    assert app.test_client().get("/api/models").json == []
