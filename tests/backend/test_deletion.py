"""Deleting takes the files along, waits for nobody, and takes nothing that is in use."""

from __future__ import annotations

import json
import os
import re
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from backend.events.reader import PAGE
from backend.events.wire import state_data
from backend.services import Services
from backend.state.errors import UnknownRecord
from backend.state.records import RunRecord
from nets.checkpoint import load_weights
from tests.backend.conftest import BODY, finish, parts, wait_running
from tests.backend.samples import a_model, add_run


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
        assert answer.status_code == 409 and f"cancel it with POST /api/runs/{run_id}/cancel" in answer.json["error"]
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
    assert refused.status_code == 409 and f"Model {model_id} is promoted from run {run_id}" in refused.json["error"]
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


def copied(services: Services, run: RunRecord, number: int) -> tuple[str, str]:
    """A succeeded run like another, with its weights, as a promoted one of a model of its own: (model, run)."""
    model_id, run_id = f"m_{number}", f"r_copy_{number}"
    folder = services.checkpoints.root
    shutil.copytree(folder / run.run_id, folder / run_id)
    services.store.create_model(a_model(model_id, architecture=run.architecture, hyperparams=run.hyperparams))
    fresh = replace(run, run_id=run_id, model_id=model_id, state="queued", saved_model_path=None, metrics=[])
    services.store.create_run(fresh, state_data(run_id, "queued"))
    services.store.transition(run_id, "running", data=state_data(run_id, "running"))
    path = f"{folder.name}/{run_id}/weights.msgpack"
    services.store.transition(run_id, "succeeded", data=state_data(run_id, "succeeded"), saved_model_path=path)
    if number % 2:
        services.store.update_model(model_id, trained=True, saved_run_id=run_id, saved_model_path=path)
    return model_id, run_id


def test_who_asks_or_promotes_beside_a_deletion_gets_an_answer_or_a_404(app: Flask) -> None:
    client, here = app.test_client(), parts(app)
    run = here.store.get_run(finish(client, client.post("/api/train", json=BODY).json["run_id"])["run_id"])
    wrong: list[object] = []

    def hammer(number: int, model_id: str, run_id: str, begun: threading.Event) -> None:
        asker, pixels = app.test_client(), [0] * 784
        gone = 0
        while gone < 5:  # every kind of question once more after the first 404
            for answer in (
                asker.post(
                    "/api/infer",
                    json={("run_id", "model_id")[number % 2]: (run_id, model_id)[number % 2], "pixels": pixels},
                ),
                asker.post(f"/api/models/{model_id}/save", json={"run_id": run_id}),
                asker.get(f"/api/runs/{run_id}/metrics"),
                asker.get(f"/api/models/{model_id}"),
                asker.post("/api/train", json={"resume_from": run_id, "hyperparams": {"epochs": 1}}),
            ):
                gone += answer.status_code == 404
                if answer.status_code not in (200, 404) and not (answer.status_code == 400 and "epochs" in answer.text):
                    wrong.append((answer.status_code, answer.text))
                elif answer.status_code == 200 and answer.json.get("runs_total", 1) != len(
                    answer.json.get("runs", [1])
                ):
                    wrong.append(answer.json)
            begun.set()

    for number in range(10):
        model_id, run_id = copied(here, run, number)
        started = [threading.Event() for _ in range(3)]
        threads = [threading.Thread(target=hammer, args=(number, model_id, run_id, each)) for each in started]
        for thread in threads:
            thread.start()
        for each in started:
            assert each.wait(20)
        assert client.delete(f"/api/models/{model_id}").status_code == 200
        for thread in threads:
            thread.join(20)
    assert not wrong, wrong[:3]


@pytest.mark.parametrize("path", ["/api/infer", "/api/models/m_1/save", "/api/models/save"])
def test_a_deletion_in_the_middle_of_reading_weights_is_a_404(
    app: Flask, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    client = app.test_client()
    add_run(parts(app).store, "r_1")
    weights = parts(app).checkpoints.weights("r_1")
    weights.parent.mkdir()
    weights.write_bytes(b"some")
    for state in ("running", "succeeded"):
        parts(app).store.transition("r_1", state, data=state_data("r_1", state))

    def deleted_first(*args: object, **kwargs: object) -> object:
        assert app.test_client().delete("/api/models/m_1").status_code == 200
        return load_weights(*args, **kwargs)

    monkeypatch.setattr("backend.inference.predictors.load_weights", deleted_first)
    answer = client.post(path, json={"run_id": "r_1", **({"pixels": [0] * 784} if "infer" in path else {})})
    assert (answer.status_code, answer.json) == (404, {"error": "'r_1' was deleted meanwhile"})


def test_a_run_takes_along_the_model_that_was_made_for_it_alone(app: Flask, held: threading.Event) -> None:
    client = app.test_client()
    held.set()

    def made(body: dict[str, object]) -> tuple[str, str]:
        answer = client.post("/api/train", json={**body, "queue": True}).json
        finish(client, answer["run_id"])
        return answer["run_id"], answer["model_id"]

    alone, of_it = made({**BODY, "name": "alone"})
    assert client.get(f"/api/models/{of_it}").json["made_for_run"]
    answer = client.delete(f"/api/runs/{alone}?with_model=true").json
    assert answer == {"run_id": alone, "deleted": True, "model_deleted": True}
    assert client.get(f"/api/models/{of_it}").status_code == 404

    first, model_id = made(BODY)
    second, _ = made({"model_id": model_id})
    assert not client.delete(f"/api/runs/{first}?with_model=true").json["model_deleted"]  # there is another run
    assert client.delete(f"/api/runs/{second}?with_model=true").json["model_deleted"]

    for change in ({"name": "mine"}, {"description": "kept"}, {"architecture": BODY["architecture"]}):
        run_id, model_id = made(BODY)
        assert not client.patch(f"/api/models/{model_id}", json=change).json["made_for_run"]
        assert not client.delete(f"/api/runs/{run_id}?with_model=true").json["model_deleted"]
        assert client.get(f"/api/models/{model_id}").json["runs_total"] == 0
    run_id, model_id = made(BODY)
    assert client.delete(f"/api/runs/{run_id}?with_model=yes").status_code == 400
    assert client.delete(f"/api/runs/{run_id}").json == {"run_id": run_id, "deleted": True}
    assert client.get(f"/api/models/{model_id}").status_code == 200
