"""Definitions: created, changed, saved, and refused with all that is wrong in them."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.backend.conftest import BODY, NET, PARAMS, Trained
from tests.backend.samples import SUMMARY


def without_warnings(answer: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in answer.items() if key != "warnings"}


def test_create_then_update_touches_only_what_came(client: FlaskClient) -> None:
    created = client.post("/api/models", json={"description": "first"})
    assert created.status_code == 201
    model_id = created.json["model_id"]
    assert re.fullmatch(r"m_[0-9a-f]{32}", model_id) and created.headers["Location"] == f"/api/models/{model_id}"
    assert created.json["name"] == "Untitled model"
    assert created.json["architecture"] is None and created.json["trained"] is False
    updated = client.post("/api/models", json={"model_id": model_id, "architecture": NET, "name": "mine"})
    assert updated.status_code == 200
    again = client.post("/api/models", json={"model_id": model_id, "hyperparams": {"epochs": 3}, "trained": True})
    model = client.get(f"/api/models/{model_id}").json
    assert without_warnings(again.json) == {
        key: value for key, value in without_warnings(model).items() if key not in ("runs", "next")
    }
    assert model["description"] == "first" and model["name"] == "mine" and model["trained"] is True
    assert model["architecture"] == NET and model["hyperparams"] == {"epochs": 3} and model["runs"] == []


def test_null_empties_a_field(client: FlaskClient) -> None:
    model_id = client.post("/api/models", json={**BODY, "description": "x", "name": "mine"}).json["model_id"]
    empty = {"architecture": None, "hyperparams": None, "description": None, "saved_model_path": None, "name": None}
    model = client.post("/api/models", json={"model_id": model_id, **empty}).json
    assert [model[key] for key in ("architecture", "hyperparams", "description")] == [None] * 3
    assert model["name"] == "Untitled model"


def test_an_explicit_id_is_created_and_named(client: FlaskClient) -> None:
    answer = client.post("/api/models", json={"model_id": "My.model-1_x", "architecture": NET})
    assert (answer.status_code, answer.json["model_id"]) == (201, "My.model-1_x")
    assert answer.json["name"] == "MLP 16-10"


def test_a_mistyped_id_renames_nothing_and_creates_nothing(client: FlaskClient) -> None:
    client.post("/api/models", json={"model_id": "mine", "name": "old", **BODY})
    missed = client.patch("/api/models/mime", json={"name": "new"})
    assert missed.status_code == 404 and "no model 'mime'" in missed.json["error"]
    assert [model["name"] for model in client.get("/api/models").json] == ["old"]

    renamed = client.patch("/api/models/mine", json={"name": "new", "model_id": "mine"})
    assert (renamed.status_code, renamed.json["name"], renamed.json["warnings"]) == (200, "new", [])
    model = client.get("/api/models/mine").json
    assert without_warnings(renamed.json) == {
        key: value for key, value in without_warnings(model).items() if key not in ("runs", "next")
    }
    assert (model["architecture"], model["hyperparams"]) == (NET, PARAMS)
    assert without_warnings(client.patch("/api/models/mine", json={}).json) == without_warnings(renamed.json)
    merged = client.patch("/api/models/mine", json={"hyperparams": {"epochs": 9, "optimizer": {"lr": 0.5}}}).json
    assert (merged["hyperparams"]["epochs"], merged["hyperparams"]["batch_size"]) == (9, PARAMS["batch_size"])
    assert merged["hyperparams"]["optimizer"]["type"] == "adam" and merged["hyperparams"]["optimizer"]["lr"] == 0.5
    client.patch("/api/models/mine", json={"hyperparams": None})
    client.patch("/api/models/mine", json={"hyperparams": PARAMS})
    emptied = client.patch("/api/models/mine", json={"architecture": None, "description": "x"}).json
    assert (emptied["architecture"], emptied["hyperparams"], emptied["description"]) == (None, PARAMS, "x")


def test_a_change_is_checked_before_the_model_is_looked_for(client: FlaskClient) -> None:
    for body, pointer in (
        ({"model_id": "other"}, "/model_id"),
        ({"nam": "x"}, "/nam"),
        ({"architecture": {}}, "/architecture/layers"),
        ({"saved_model_path": "/etc/passwd"}, "/saved_model_path"),
    ):
        answer = client.patch("/api/models/nobody", json=body)
        assert (answer.status_code, [problem["pointer"] for problem in answer.json["errors"]]) == (400, [pointer])
    assert client.patch("/api/models/nobody").status_code == 400


def test_a_model_that_is_created_empty_says_so(client: FlaskClient) -> None:
    for body in ({"model_id": "mime", "name": "new"}, {"hyperparams": PARAMS}):
        created = client.post("/api/models", json=body).json
        [warning] = created["warnings"]
        assert f"{created['model_id']} was created without one" in warning and "PATCH /api/models/" in warning
    assert client.post("/api/models", json={"model_id": "mime", "name": "newer"}).json["warnings"] == []
    assert client.post("/api/models", json=BODY).json["warnings"] == []


def test_a_model_marked_as_trained_has_no_weights_and_answers_nothing(trained: Trained) -> None:
    client = trained.client
    marked = client.post("/api/models", json={**BODY, "model_id": "marked", "trained": True})
    assert marked.status_code == 201 and marked.json["trained"] is True
    [warning] = marked.json["warnings"]
    assert "has no weights of its own" in warning and "POST /api/models/marked/save" in warning
    assert len(client.patch("/api/models/marked", json={"trained": True}).json["warnings"]) == 1
    asked = client.post("/api/infer", json={"model_id": "marked", "pixels": [0.0] * 784})
    assert asked.status_code == 409 and "no succeeded run" in asked.json["error"]
    assert client.patch("/api/models/marked", json={"trained": False}).json["warnings"] == []
    client.delete("/api/models/marked")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"model_id": "a/b"}, "model_id: must be 1 to 128 of"),
        ({"model_id": ".hidden"}, "model_id: .*must not start with '.'"),
        ({"model_id": "save"}, "model_id: .*must not be 'save'"),
        ({"model_id": "x" * 129}, "model_id: must have at most 128 characters, got 129"),
        ({"model_id": ""}, "model_id: must not be blank"),
        ({"model_id": 5}, "model_id: must be a string, got 5"),
        ({"model_id": ["m"]}, "model_id: must be a string"),
        ({"name": " "}, "name: must not be blank"),
        ({"name": "x" * 201}, "name: must have at most 200 characters"),
        ({"name": "a\0b"}, "name: must not contain a NUL"),
        ({"description": {}}, "description: must be a string"),
        ({"trained": 1}, "trained: must be true or false, got 1"),
        ({"trained": "true"}, "trained: must be true or false"),
        ({"architecture": []}, r"architecture: must be an object, got \[\]"),
        ({"architecture": {}}, "architecture.layers: is required"),
        ({"architecture": {"layers": []}}, "architecture.layers: must have 1 to"),
        ({"hyperparams": "x"}, "hyperparams: must be an object"),
        ({"hyperparams": {"epochs": -3}}, "hyperparams.epochs: must be at least 1, got -3"),
        ({"saved_model_path": 3}, "saved_model_path: must be a string"),
        (
            {"saved_model_path": "/etc/passwd"},
            "saved_model_path: must be null or the saved_model_path of a succeeded run",
        ),
        ({"saved_model_path": "state/../../etc/passwd"}, "saved_model_path: must be null"),
        ({"saved_model_path": "state/r_1/weights.msgpack"}, "saved_model_path: must be null"),
        ({"saved_model_path": "state/\u0000/weights.msgpack"}, "saved_model_path: must not contain a NUL"),
        ({"saved_model": "x"}, "saved_model: is not a field.*Did you mean 'saved_model_path'"),
    ],
)
def test_bad_definitions_are_a_400_and_change_nothing(trained: Trained, body: dict[str, Any], message: str) -> None:
    before = trained.client.get("/api/models").json
    answer = trained.client.post("/api/models", json=body)
    assert answer.status_code == 400 and re.search(message, answer.json["error"]), answer.json
    assert trained.client.get("/api/models").json == before


def test_save_stores_a_definition_that_is_untrained(client: FlaskClient) -> None:
    answer = client.post("/api/models/mine/save", json=BODY)
    assert answer.status_code == 200 and answer.json.keys() >= SUMMARY
    assert answer.json["architecture"] == NET and answer.json["hyperparams"] == PARAMS
    assert (answer.json["trained"], answer.json["saved_model_path"]) == (False, None)
    other = {"layers": [{"type": "linear", "units": 10}]}
    again = client.post("/api/models/mine/save", json={"architecture": other, "name": "named"})
    assert again.json["architecture"] == other and again.json["hyperparams"] == PARAMS
    assert [model["name"] for model in client.get("/api/models").json] == ["named"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "architecture: is required to store a definition"),
        ({"run_id": 5}, "run_id: must be a string, got 5"),
        ({"run_id": {}}, "run_id: must be a string"),
        ({"run_id": False}, "run_id: must be a string, got false"),
        ({"run_id": " "}, "run_id: must not be blank"),
        ({"run_id": "r_1", "architecture": NET}, "architecture: is not a field of this request"),
        ({"run_id": "r_1", "model_id": "other"}, 'model_id: must be the "mine" of the path'),
        ({"architecture": NET, "model_id": "other"}, 'model_id: must be the "mine" of the path'),
        ({"architecture": {"layers": [{"type": "relu"}]}}, "must have a layer with weights"),
    ],
)
def test_bad_saves_are_a_400(trained: Trained, body: dict[str, Any], message: str) -> None:
    answer = trained.client.post("/api/models/mine/save", json=body)
    assert answer.status_code == 400 and re.search(message, answer.json["error"]), answer.json
    assert trained.client.get("/api/models/mine").status_code == 404


def test_save_under_an_id_that_no_model_can_have(trained: Trained) -> None:
    answer = trained.client.post("/api/models/.x/save", json=BODY)
    assert answer.status_code == 400 and answer.json["errors"][0]["pointer"] == "/model_id"
