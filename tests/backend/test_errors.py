"""Every failure is one JSON body with a sentence, whatever was sent."""

from __future__ import annotations

import logging
import re
import sqlite3
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.backend.conftest import BODY, NET, Trained, parts


@pytest.fixture(scope="module")
def client(trained: Trained) -> FlaskClient:
    return trained.client


def test_an_unknown_path_is_a_404_in_json(client: FlaskClient) -> None:
    for path in ("/", "/api", "/api/nope", "/api/runs//x", "/favicon.ico", "/api/runs/%00/x"):
        answer = client.get(path)
        assert answer.status_code == 404 and answer.is_json, path
        assert "no endpoint" in answer.json["error"]


def test_a_wrong_method_is_a_405_that_names_the_right_ones(client: FlaskClient) -> None:
    for method, path, allowed in (
        ("PUT", "/api/models", "GET, HEAD, OPTIONS, POST"),
        ("GET", "/api/train", "OPTIONS, POST"),
        ("POST", "/api/health", "GET, HEAD, OPTIONS"),
        ("PUT", "/api/models/x", "DELETE, GET, HEAD, OPTIONS, PATCH"),
    ):
        answer = client.open(path, method=method)
        assert (answer.status_code, answer.headers["Allow"]) == (405, allowed)
        assert allowed in answer.json["error"]


def test_errors_carry_every_problem_with_its_pointer(client: FlaskClient) -> None:
    body = {
        "architecture": {**NET, "layers": [{"type": "linear", "in": 5, "out": 10.5}, {"type": "conv2", "a": 1}]},
        "hyperparams": {"epochs": 0, "train_split": 1, "optimizer": {"type": "sgd", "lr": -1}, "epoch": 3},
        "name": 7,
        "queue": "yes",
        "model_id": "../x",
        "architectur": {},
    }
    answer = client.post("/api/train", json=body)
    assert answer.status_code == 400
    pointers = [problem["pointer"] for problem in answer.json["errors"]]
    assert set(pointers) >= {
        "/architecture/layers/0/out",
        "/architecture/layers/1/type",
        "/hyperparams/epochs",
        "/hyperparams/train_split",
        "/hyperparams/optimizer/lr",
        "/hyperparams/epoch",
        "/name",
        "/queue",
        "/model_id",
        "/architectur",
    }
    assert all(problem["detail"] for problem in answer.json["errors"])
    assert "Did you mean 'architecture'?" in answer.json["errors"][0]["detail"]
    assert answer.json["error"].startswith("architectur: ")


def test_a_bug_is_a_500_that_shows_only_an_id(
    app: Flask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object, **__: object) -> Any:
        raise RuntimeError("the secret of /etc")

    monkeypatch.setattr(parts(app).store, "each_model", broken)
    with caplog.at_level(logging.ERROR, logger="lamina.http"):
        answer = app.test_client().get("/api/models")
    assert answer.status_code == 500
    found = re.fullmatch(r"Internal error; the server log has the details under (e_[0-9a-f]{12})", answer.json["error"])
    assert found and found[1] in caplog.text and "the secret" in caplog.text


def test_a_full_disk_is_a_507_with_the_reason_and_the_cure(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> Any:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(parts(app).store, "create_model", full)
    answer = app.test_client().post("/api/train", json=BODY)
    assert answer.status_code == 507
    assert "cannot be written (database or disk is full), so nothing was changed: make room" in answer.json["error"]


def test_local_pages_may_ask_and_others_may_not(client: FlaskClient) -> None:
    for origin, allowed in (
        ("http://localhost:5173", True),
        ("http://127.0.0.1:8000", True),
        ("http://localhost", True),
        ("http://localhost.evil.example", False),
        ("https://example.org", False),
        ("null", False),
    ):
        answer = client.get("/api/models", headers={"Origin": origin})
        assert ("Access-Control-Allow-Origin" in answer.headers) is allowed, origin
        preflight = client.options("/api/train", headers={"Origin": origin, "Access-Control-Request-Method": "POST"})
        assert ("Access-Control-Allow-Origin" in preflight.headers) is allowed, origin


def test_every_request_is_one_line_without_what_a_client_could_forge(
    client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="lamina.http"):
        client.get("/api/runs/r_1%0AERROR%20forged")
    [line] = [record.getMessage() for record in caplog.records if record.name == "lamina.http"]
    assert re.fullmatch(r"GET /api/runs/r_1%0AERROR%20forged 404 \d+\.\d ms run=r_1%0AERROR%20forged", line)
