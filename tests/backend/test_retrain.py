"""Stored definitions trained again: what is left out is as stored, and what is stored stays."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from nets.hyperparams.hyperparams import parse_hyperparams
from tests.backend.conftest import BODY, NET, PARAMS, finish, parts


def test_a_stored_definition_is_trained_by_its_id(client: FlaskClient) -> None:
    client.post("/api/models/mine/save", json={**BODY, "name": "mine"})
    started = client.post("/api/train", json={"model_id": "mine"})
    assert started.status_code == 202, started.json
    assert (started.json["model_id"], started.json["name"], started.json["epochs_total"]) == ("mine", "mine", 2)
    run = finish(client, started.json["run_id"])
    assert run["state"] == "succeeded" and run["architecture"] == NET

    other = {"layers": [{"type": "linear", "units": 10}]}
    both = {"model_id": "mine", "architecture": other, "hyperparams": {**PARAMS, "epochs": 1}, "description": "new"}
    again = client.post("/api/train", json={**both, "update_model": True}).json
    assert finish(client, again["run_id"])["state"] == "succeeded"
    model = client.get("/api/models/mine").json
    assert model["architecture"] == other and model["hyperparams"]["epochs"] == 1 and model["description"] == "new"
    assert model["runs_total"] == 2 and [run["run_id"] for run in model["runs"]] == [again["run_id"], run["run_id"]]


STORED = {**PARAMS, "optimizer": {"type": "adam", "learning_rate": 0.02, "betas": [0.8, 0.99]}, "seed": 7}
ADAM = {"type": "adam", "lr": 0.02, "betas": [0.8, 0.99], "eps": 1e-8, "weight_decay": 0.0, "amsgrad": False}
SGD = {"type": "sgd", "lr": 0.1, "momentum": 0.0, "dampening": 0.0, "nesterov": False, "weight_decay": 0.0}


RETRAINED: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any], str]] = [
    # what the stored definition has otherwise, what is sent, what of it the run uses, what is said of it
    (
        {},
        {"epochs": 4},
        {"epochs": 4},
        "epochs as sent; batch_size, optimizer, max_samples, dataset_type, seed as stored",
    ),
    ({}, {"optimizer": {"lr": 0.5}}, {"optimizer": {**ADAM, "lr": 0.5}}, "optimizer as sent; epochs"),
    ({}, {"optimizer": {"learning_rate": 0.5}}, {"optimizer": {**ADAM, "lr": 0.5}}, "optimizer as sent"),
    ({}, {"optimizer": {"type": "adam", "eps": 0.1}}, {"optimizer": {**ADAM, "eps": 0.1}}, "optimizer as sent"),
    ({}, {"optimizer": {"type": "sgd"}}, {"optimizer": SGD}, "sgd instead of the stored adam"),
    ({}, {"dataset": "kmnist"}, {"dataset_type": "kmnist"}, "dataset as sent; epochs, batch_size, optimizer"),
    ({"dataset_type": None, "dataset": "digits"}, {"seed": 1}, {"seed": 1}, "max_samples, dataset as stored"),
    ({}, {"max_samples": None}, {"max_samples": None}, "max_samples as sent"),
    ({"optimizer": None}, {"optimizer": {"momentum": 0.5}}, {"optimizer": {**SGD, "momentum": 0.5}}, "as sent"),
    ({"optimizer": None}, {"optimizer": {"type": "adam", "lr": 0.5}}, {}, "optimizer as sent; epochs"),
    ({}, {"optimizer": {"momentum": 0.5}}, {"optimizer": ADAM}, "adam has no momentum"),
    ({}, {}, {}, ""),
]


@pytest.mark.parametrize(("stored", "sent", "used", "said"), RETRAINED)
def test_a_retrained_model_keeps_what_is_not_sent_and_its_definition(
    client: FlaskClient,
    held: threading.Event,
    stored: dict[str, Any],
    sent: dict[str, Any],
    used: dict[str, Any],
    said: str,
) -> None:
    defined = {name: value for name, value in {**STORED, **stored}.items() if value is not None}
    whole = {"batch_size": 32, "seed": 7, "dataset_type": "digits", "epochs": 2, "max_samples": 300, **used}
    client.post("/api/models", json={"model_id": "mine", "architecture": NET, "hyperparams": defined})
    answer = client.post("/api/train", json={"model_id": "mine", "hyperparams": sent}).json
    run = client.get(f"/api/runs/{answer['run_id']}").json
    assert {**run["hyperparams"], **whole} == run["hyperparams"] == answer["hyperparams"]
    if "optimizer" in defined and "optimizer" not in sent:
        assert run["hyperparams"]["optimizer"] == ADAM
    assert run["architecture"] == NET and run["dataset_type"] == whole["dataset_type"]
    assert said in " ".join(answer["warnings"]) and bool(answer["warnings"]) == bool(sent)
    model = client.get("/api/models/mine").json
    assert (model["architecture"], model["hyperparams"]) == (NET, defined)
    if "optimizer" not in defined:
        assert "instead of the stored" not in " ".join(answer["warnings"])
    keeps = any("keeps its own definition" in warning and "update_model" in warning for warning in answer["warnings"])
    assert keeps == (run["hyperparams"] != parse_hyperparams(defined).to_json())


def test_a_retrained_architecture_leaves_the_stored_one(client: FlaskClient, held: threading.Event) -> None:
    other = {"layers": [{"type": "linear", "units": 10}]}
    client.post("/api/models", json={"model_id": "mine", "architecture": NET, "hyperparams": STORED})
    body = {"model_id": "mine", "architecture": other, "queue": True}
    answer = client.post("/api/train", json=body).json
    assert client.get(f"/api/runs/{answer['run_id']}").json["architecture"] == other
    assert answer["hyperparams"]["optimizer"] == ADAM
    model = client.get("/api/models/mine").json
    assert (model["architecture"], model["hyperparams"]) == (NET, STORED)

    client.post("/api/train", json={**body, "hyperparams": {"epochs": 4}, "update_model": True})
    model = client.get("/api/models/mine").json
    assert model["architecture"] == other
    assert model["hyperparams"] == {**STORED, "epochs": 4}


def test_a_definition_that_is_no_longer_valid_is_mended_by_what_is_sent(
    app: Flask, client: FlaskClient, held: threading.Event
) -> None:
    """Rules may become stricter from one version to the next."""
    client.post("/api/models", json={"model_id": "mine", "architecture": NET, "hyperparams": STORED})
    parts(app).store.update_model("mine", hyperparams={**STORED, "epochs": 0})
    assert client.post("/api/train", json={"model_id": "mine", "hyperparams": {"seed": 1}}).status_code == 400
    answer = client.post("/api/train", json={"model_id": "mine", "hyperparams": {"epochs": 3}})
    assert answer.status_code == 202 and answer.json["hyperparams"]["optimizer"] == ADAM
    assert client.patch("/api/models/mine", json={"hyperparams": {"epochs": 3}}).json["hyperparams"]["epochs"] == 3


def test_the_first_run_of_a_model_without_a_definition_gives_it_one(client: FlaskClient, held: threading.Event) -> None:
    client.post("/api/models", json={"model_id": "mine", "hyperparams": STORED})
    client.post("/api/train", json={"model_id": "mine", "architecture": NET, "hyperparams": {"epochs": 4}})
    model = client.get("/api/models/mine").json
    assert (model["architecture"], model["hyperparams"]) == (NET, STORED)


def test_a_bad_part_of_a_definition_is_a_400_that_changes_nothing(client: FlaskClient, held: threading.Event) -> None:
    client.post("/api/models", json={"model_id": "mine", "architecture": NET, "hyperparams": STORED})
    for sent, pointer in (
        ({"epochs": 0}, "/hyperparams/epochs"),
        ({"epoch": 4}, "/hyperparams/epoch"),
        ({"optimizer": {"type": "sgd", "betas": [0, 0]}}, "/hyperparams/optimizer/betas"),
        ({"optimizer": "sgd"}, "/hyperparams/optimizer"),
        ({"optimizer": None}, "/hyperparams/optimizer"),
        ([], "/hyperparams"),
    ):
        answer = client.post("/api/train", json={"model_id": "mine", "hyperparams": sent, "update_model": True})
        assert (answer.status_code, [problem["pointer"] for problem in answer.json["errors"]]) == (400, [pointer])
    assert client.get("/api/models/mine").json["hyperparams"] == STORED


def test_a_definition_without_layers_cannot_be_trained(client: FlaskClient) -> None:
    client.post("/api/models", json={"model_id": "empty", "hyperparams": PARAMS})
    answer = client.post("/api/train", json={"model_id": "empty"})
    assert answer.status_code == 400 and answer.json["errors"][0]["pointer"] == "/architecture"
