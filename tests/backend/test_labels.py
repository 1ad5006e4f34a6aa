"""What people call a run: sent with it, changed in any state, and never in the way of what happens in it."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from backend.parsing.requests import TrainBody, check
from nets.errors import SpecError
from tests.backend.conftest import BODY, Trained, finish, parts, wait_running

SENT = {"name": "first try", "tags": ["sweep", "lr 0.1"], "notes": "rate as in the paper"}


def labels(run: dict[str, Any]) -> tuple[str, list[str], str | None]:
    return run["name"], run["tags"], run["notes"]


def test_labels_come_with_a_run_and_change_in_any_state(app: Flask, held: threading.Event) -> None:
    client = app.test_client()
    started = client.post("/api/train", json={**BODY, **SENT}).json
    run_id, path = started["run_id"], f"/api/runs/{started['run_id']}"
    assert (started["name"], started["model_name"]) == ("first try", "first try")
    wait_running(client, run_id)
    events = parts(app).store.events(run_id)
    assert labels(client.get(path).json) == ("first try", ["sweep", "lr 0.1"], "rate as in the paper")
    changed = client.patch(path, json={"tags": ["kept"]})
    assert changed.status_code == 200 and changed.json["state"] == "running"
    assert labels(changed.json) == ("first try", ["kept"], "rate as in the paper")
    held.set()
    assert finish(client, run_id)["state"] == "failed"
    renamed = client.patch(path, json={"name": "second thought", "tags": None, "notes": None}).json
    assert labels(renamed) == ("second thought", [], None) == labels(client.get(path).json)
    generated = client.patch(path, json={"name": None}).json
    assert generated["name"] == "first try"  # as its model
    assert client.patch(path, json={}).json == client.get(path).json
    assert parts(app).store.events(run_id)[: len(events)] == events
    assert [run["name"] for run in client.get("/api/runs").json["runs"]] == ["first try"]


@pytest.mark.usefixtures("held")
def test_a_further_run_leaves_the_name_of_its_model(client: FlaskClient) -> None:
    model_id = client.post("/api/train", json={**BODY, "name": "net"}).json["model_id"]
    queued = {"model_id": model_id, "queue": True}
    answers = [
        client.post("/api/train", json={**queued, **more}).json
        for more in ({}, {"name": "faster"}, {}, {"name": "slower", "update_model": True}, {})
    ]
    assert [each["name"] for each in answers] == ["net #2", "faster", "net #3", "slower", "slower #2"]
    assert [each["model_name"] for each in answers] == ["net", "net", "net", "slower", "slower"]
    assert client.get(f"/api/models/{model_id}").json["name"] == "slower"


WRONG = [
    ({"tags": "sweep"}, r'tags: must be a list of strings, got "sweep"'),
    ({"tags": [1]}, "tags: must be a list of strings"),
    ({"tags": ["a,b"]}, 'tags: each must be printable characters without commas.*got "a,b"'),
    ({"tags": [" a"]}, "without blanks at its ends"),
    ({"tags": [""]}, "printable"),
    ({"tags": ["a\nb"]}, "printable"),
    ({"tags": ["x" * 65]}, "tags: each must have at most 64 characters, got 65"),
    ({"tags": ["a", "b", "a"]}, 'tags: each must come once, got "a" 2 times'),
    ({"tags": [str(number) for number in range(33)]}, "tags: must have at most 32 items, got 33"),
    ({"name": " "}, "name: must not be blank"),
    ({"name": "x" * 201}, "name: must have at most 200 characters"),
    ({"notes": "x" * 10_001}, "notes: must have at most 10000 characters"),
    ({"notes": 5}, "notes: must be a string"),
]


@pytest.mark.parametrize(("sent", "message"), WRONG)
def test_wrong_labels_are_refused(trained: Trained, sent: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        check(TrainBody, {**BODY, **sent})
    assert trained.client.patch(f"/api/runs/{trained.run_id}", json=sent).status_code == 400


def test_other_fields_and_runs_are_refused(trained: Trained) -> None:
    answer = trained.client.patch(f"/api/runs/{trained.run_id}", json={"tag": ["a"]})
    assert answer.status_code == 400 and "Did you mean 'tags'?" in answer.json["error"]
    assert trained.client.patch("/api/runs/r_none", json={"name": "a"}).status_code == 404
    assert trained.client.get(f"/api/runs/{trained.run_id}").json["name"] == "shared"
