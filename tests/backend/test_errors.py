"""Every failure is one JSON body with a sentence, whatever was sent."""

from __future__ import annotations

import json
import logging
import re
import sqlite3
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from flask import Flask
from flask.testing import FlaskClient

from backend.web.components import errors
from backend.web.openapi import OPERATIONS
from nets.errors import CODES
from tests.backend.conftest import BODY, NET, Trained, parts
from tests.patches import applied

ERROR = jsonschema_rs.validator_for({"$ref": "#/components/schemas/Error", "components": {"schemas": errors()}})
WHOLE = {"misfit", "unused", "duplicate"}  # what no value of one place decides


@pytest.fixture(scope="module")
def client(trained: Trained) -> FlaskClient:
    return trained.client


def test_an_unknown_path_is_a_404_in_json(client: FlaskClient) -> None:
    for path in ("/nope", "/api", "/api/nope", "/api/runs//x", "/favicon.ico", "/api/runs/%00/x"):
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


SEVERAL: list[tuple[str, Any]] = [  # what a body of POST /api/train gets in the place of ..., to break it
    ("/architecture/layers/2/in", 3000),
    ("/architecture/layers/2/out", 12),
    ("/architecture/layers/0", {"type": "Dense", "units": 16}),
    ("/architecture/layers/0", {"class_name": "linear", "units": 16}),
    ("/architecture/layers/1", "ReLU"),
    ("/architecture/layers/1", {"type": "dropout", "P": 0.2}),
    ("/architecture/layers/1", {"type": "softmax", "name": "input"}),
    ("/architecture/layers/1", {"type": "conv2d", "filters": 3, "kernel": 3}),
    ("/architecture/layers/1", {"type": "relu", "inputs": ["a"]}),
    ("/architecture/layers/1", {"type": "relu", "shares": "a"}),
    ("/architecture/layers/3", {"type": "linear", "units": 11}),
    ("/architecture/layers", []),
    ("/architecture/layers", [{"type": "flatten"}]),
    ("/architecture/layers", [{"type": "batchnorm1d"}, {"type": "linear", "out": 10}]),
    ("/architecture/input_size", 700),
    ("/architecture/input_channels", 3),
    ("/architecture", {"input_shape": [1, 28, 28], "input_width": 7, "layers": [{"type": "linear", "out": 10}]}),
    ("/architecture", {"input_shape": [3, 32, 32], "layers": [{"type": "linear", "out": 10}]}),
    ("/architecture", {"input_shape": [28, 28], "layers": [{"type": "flatten"}, {"type": "linear", "out": 10}]}),
    ("/architecture", 5),
    ("/hyperparams/epochs", 0),
    ("/hyperparams/epochs", "5"),
    ("/hyperparams/epoch", 3),
    ("/hyperparams/momentum", 0.9),
    ("/hyperparams/train_split", 0.001),
    ("/hyperparams/optimizer", {"type": "addam"}),
    ("/hyperparams/optimizer", {"type": "sgd", "lr": -1, "nesterov": True}),
    ("/hyperparams/optimizer", {"type": "sgd", "lr": 0.1, "learning_rate": 0.2}),
    ("/hyperparams/dataset_type", "mnits"),
    ("/hyperparams", []),
    ("/seed", 3),
    ("/name", " "),
    ("/name", "x" * 201),
    ("/name", "a\0b"),
    ("/model_id", "../x"),
    ("/queue", "yes"),
    ("/update_model", "true"),
    ("/architectur", {}),
]


@pytest.mark.parametrize(("place", "value"), SEVERAL, ids=lambda value: str(value)[:40])
def test_problems_are_told_to_programs_and_their_fixes_remove_them(client: FlaskClient, place: str, value: Any) -> None:
    body = applied([{"op": "add" if place.count("/") < 3 else "replace", "path": place, "value": value}], BODY)
    answer = client.post("/api/train", json=body)
    assert answer.status_code == 400
    ERROR.validate(answer.json)
    for problem in answer.json["errors"]:
        assert problem["in"] == "body" and (problem["expected"] != {} or problem["code"] in WHOLE), problem
        if isinstance(problem["expected"], dict):
            jsonschema_rs.validator_for(problem["expected"])
        if "fix" in problem:
            again = client.post("/api/train", json={**applied(problem["fix"], body), "model_id": "m_unknown"})
            assert again.status_code in (400, 404)  # the model is looked for once the body is right
            assert (problem["pointer"], problem["code"]) not in {
                (other["pointer"], other["code"]) for other in again.json.get("errors", [])
            }


def test_a_builder_can_offer_what_is_right(client: FlaskClient) -> None:
    """The commonest mistakes, and what a button does about them."""
    net = {"input_size": 784, "layers": [{"type": "flatten"}, {"type": "linear", "in": 3000, "out": 10}]}
    sent = {"architecture": net, "hyperparams": {"epoch": 3, "loss": "cross_entrop"}, "nmae": "x", "learning_rate": 1}
    problems = {one["pointer"]: one for one in client.post("/api/train", json=sent).json["errors"]}
    wrong = problems["/architecture/layers/1/in"]
    assert (wrong["code"], wrong["expected"], wrong["got"]) == ("mismatch", 784, 3000)
    assert wrong["fix"] == [{"op": "replace", "path": "/architecture/layers/1/in", "value": 784}]
    assert problems["/nmae"]["suggestion"] == "name" and "name" in problems["/nmae"]["expected"]["enum"]
    assert problems["/nmae"]["fix"] == [{"op": "move", "from": "/nmae", "path": "/name"}]
    assert problems["/hyperparams/epoch"]["fix"][0]["path"] == "/hyperparams/epochs"
    assert problems["/hyperparams/loss"]["fix"][0]["value"] == "cross_entropy"
    assert problems["/learning_rate"]["code"] == "unknown_field" and "fix" not in problems["/learning_rate"]


def test_the_readme_shows_a_problem_as_it_is(client: FlaskClient) -> None:
    text = (Path(__file__).parent.parent.parent / "backend" / "README.md").read_text()
    shown = re.search(r"is told as:\n\n```json\n(.*?)```", text, re.DOTALL)
    layers = [{"type": "linear", "out": 32}, {"type": "linear", "in": 3000, "out": 10}]
    (told,) = client.post("/api/train", json={"architecture": {**NET, "layers": layers}}).json["errors"]
    assert shown and json.loads(shown[1]) == told


def test_stored_parts_of_a_request_have_no_fix_in_it(trained: Trained) -> None:
    """A patch is for what was sent."""
    sent = {"model_id": trained.model_id, "hyperparams": {"dataset_type": "cifar10"}}
    answer = trained.client.post("/api/train", json=sent)
    assert answer.status_code == 400
    assert [one["expected"] for one in answer.json["errors"]] == [3, 32, 32]
    assert not [one for one in answer.json["errors"] if "fix" in one]


def queries() -> list[tuple[str, str, str]]:
    """Each parameter of each endpoint with a value that is none."""
    return [
        (rule, name, value)
        for (method, rule), operation in OPERATIONS.items()
        for name, schema in operation.query.model_json_schema().get("properties", {}).items()
        for value in ("-1", "x", "")
        if method == "GET" and ("enum" in str(schema) or "integer" in str(schema) or "pattern" in schema)
    ]


@pytest.mark.parametrize(("rule", "name", "value"), queries())
def test_wrong_parameters_are_told_to_programs(trained: Trained, rule: str, name: str, value: str) -> None:
    path = rule.replace("<run_id>", trained.run_id).replace("<model_id>", trained.model_id)
    answer = trained.client.get(f"{path}?{name}={value}")
    if answer.status_code in (200, 404):  # a text, or an id that nobody has
        return
    ERROR.validate(answer.json)
    (problem,) = (each for each in answer.json["errors"] if each["pointer"] == f"/{name}")
    assert (answer.status_code, problem["in"], problem["name"]) == (400, "query", name)
    assert problem["expected"] and problem["got"] == value and problem["code"] in CODES


def test_unknown_and_repeated_parameters_are_told_to_programs(client: FlaskClient) -> None:
    (unknown,) = client.get("/api/runs?limitt=3").json["errors"]
    assert (unknown["code"], unknown["suggestion"], unknown["got"]) == ("unknown_field", "limit", "3")
    assert unknown["fix"] == [{"op": "move", "from": "/limitt", "path": "/limit"}]
    (twice,) = client.get("/api/runs?limit=3&limit=4").json["errors"]
    assert (twice["in"], twice["code"], twice["got"]) == ("query", "duplicate", ["3", "4"])


@pytest.mark.parametrize(
    ("pixels", "pointer", "code"),
    [
        ([0.0], "/pixels", "mismatch"),
        ([0.0] * 783 + [2], "/pixels/783", "out_of_range"),
        ([0.0] * 783 + ["1"], "/pixels/783", "wrong_type"),
        ([[0.0] * 28] * 27 + [[0.0] * 27], "/pixels/27", "too_short"),
        ([[0.0] * 28] * 27 + [1], "/pixels/27", "wrong_type"),
        ([[[[[0.0]]]]], "/pixels", "too_deep"),
        ("x", "/pixels", "wrong_type"),
        ([], "/pixels", "mismatch"),
    ],
)
def test_wrong_pixels_are_told_to_programs(trained: Trained, pixels: Any, pointer: str, code: str) -> None:
    answer = trained.client.post("/api/infer", json={"run_id": trained.run_id, "pixels": pixels})
    assert answer.status_code == 422
    ERROR.validate(answer.json)
    (problem,) = answer.json["errors"]
    assert (problem["in"], problem["pointer"], problem["code"]) == ("body", pointer, code)
    assert not jsonschema_rs.validator_for(problem["expected"]).is_valid(problem["got"])


def test_what_is_no_json_is_told_to_programs(client: FlaskClient) -> None:
    text = '{"name": NaN, "seed": 1e999, "a": {"x": 1, "x": 2}, "b": "\\ud800", "c": 99999999999999999999}'
    answer = client.post("/api/train", data=text, content_type="application/json")
    ERROR.validate(answer.json)
    found = {one["pointer"]: (one["code"], one["got"]) for one in answer.json["errors"]}
    assert found == {
        "/name": ("wrong_type", "NaN"),
        "/seed": ("out_of_range", "inf"),
        "/a/x": ("duplicate", 2),
        "/b": ("malformed", "\\ud800"),
        "/c": ("out_of_range", "a whole number beyond 64 bits"),
    }


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
