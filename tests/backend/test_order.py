"""Requests for training: what is accepted, what is refused with its place, and what is said about the rest."""

from __future__ import annotations

import copy
import re
import threading
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.backend.conftest import BODY, LAYERS, NET, PARAMS, Trained


def without(body: dict[str, Any], *path: Any) -> dict[str, Any]:
    changed = copy.deepcopy(body)
    target: Any = changed
    for part in path[:-1]:
        target = target[part]
    del target[path[-1]]
    return changed


def having(*path: Any, value: Any) -> dict[str, Any]:
    """BODY with one value in another."""
    changed = copy.deepcopy(BODY)
    target: Any = changed
    for part in path[:-1]:
        target = target[part]
    target[path[-1]] = value
    return changed


def params(**changes: Any) -> dict[str, Any]:
    return {**BODY, "hyperparams": {**PARAMS, **changes}}


def layers(*listed: Any) -> dict[str, Any]:
    return {**BODY, "architecture": {**NET, "layers": list(listed)}}


LAST = {"type": "linear", "out": 10}
BAD: list[tuple[str, Any, str]] = [
    ("no architecture", {"hyperparams": PARAMS}, "/architecture"),
    ("architecture null", {"architecture": None}, "/architecture"),
    ("architecture a list", {"architecture": [1]}, "/architecture"),
    ("architecture a string", {"architecture": "cnn"}, "/architecture"),
    ("no layers", {"architecture": {}}, "/architecture/layers"),
    ("layers an object", {"architecture": {"layers": {}}}, "/architecture/layers"),
    ("layers empty", layers(), "/architecture/layers"),
    ("10,000 layers", layers(*[{"type": "relu"}] * 10_000), "/architecture/layers"),
    ("layer a string", layers("relu", LAST), "/architecture/layers/0"),
    ("layer null", layers(None, LAST), "/architecture/layers/0"),
    ("layer without type", layers({"out": 10}), "/architecture/layers/0/type"),
    ("type a number", layers({"type": 5}), "/architecture/layers/0/type"),
    ("type a list", layers({"type": ["relu"]}), "/architecture/layers/0/type"),
    ("unknown type", layers({"type": "conv3d"}), "/architecture/layers/0/type"),
    ("unknown layer field", layers({**LAST, "bias_": True}), "/architecture/layers/0/bias_"),
    ("unknown architecture field", having("architecture", "depth", value=1), "/architecture/depth"),
    ("half units", layers({"type": "linear", "out": 10.5}), "/architecture/layers/0/out"),
    ("units a string", layers({"type": "linear", "units": "10"}), "/architecture/layers/0/units"),
    ("units a boolean", layers({"type": "linear", "units": True}), "/architecture/layers/0/units"),
    ("zero units", layers({"type": "linear", "out": 0}), "/architecture/layers/0/out"),
    ("negative units", layers({"type": "linear", "out": -1}), "/architecture/layers/0/out"),
    ("huge units", layers({"type": "linear", "out": 10**15}, LAST), "/architecture/layers/0/out"),
    ("wrong in", layers({"type": "linear", "in": 700, "out": 10}), "/architecture/layers/0/in"),
    ("wrong chain", layers(LAYERS[0], {"type": "linear", "in": 17, "out": 10}), "/architecture/layers/1/in"),
    ("wrong final size", layers({"type": "linear", "out": 11}), "/architecture/layers/0/out"),
    ("one output", layers({"type": "linear", "out": 1}), "/architecture/layers/0"),
    ("ends in an image", layers({"type": "conv2d", "filters": 10, "kernel": 3}), "/architecture/layers/0"),
    ("nothing to train", layers({"type": "flatten"}, {"type": "softmax"}), "/architecture/layers"),
    (
        "kernel larger than the image",
        layers({"type": "conv2d", "filters": 2, "kernel": 29}, {"type": "flatten"}, LAST),
        "/architecture/layers/0/kernel",
    ),
    (
        "pool larger than the image",
        layers({"type": "maxpool2d", "pool_size": 40}, {"type": "flatten"}, LAST),
        "/architecture/layers/0/pool_size",
    ),
    (
        "half a filter",
        layers({"type": "conv2d", "filters": 2.5, "kernel": 3}, LAST),
        "/architecture/layers/0/filters",
    ),
    (
        "bad padding",
        layers({"type": "conv2d", "filters": 2, "kernel": 3, "padding": "full"}, LAST),
        "/architecture/layers/0/padding",
    ),
    ("dropout of everything", layers({"type": "dropout", "p": 1.5}, LAST), "/architecture/layers/0/p"),
    ("wrong image size", having("architecture", "input_size", value=700), "/architecture/input_size"),
    ("zero height", having("architecture", "input_height", value=0), "/architecture/input_height"),
    ("hyperparams a list", {**BODY, "hyperparams": []}, "/hyperparams"),
    ("hyperparams a number", {**BODY, "hyperparams": 3}, "/hyperparams"),
    ("no epochs", params(epochs=0), "/hyperparams/epochs"),
    ("negative epochs", params(epochs=-3), "/hyperparams/epochs"),
    ("half an epoch", params(epochs=1.5), "/hyperparams/epochs"),
    ("epochs a string", params(epochs="5"), "/hyperparams/epochs"),
    ("epochs a boolean", params(epochs=True), "/hyperparams/epochs"),
    ("epochs null", params(epochs=None), "/hyperparams/epochs"),
    ("huge epochs", params(epochs=10**18), "/hyperparams/epochs"),
    ("no batch", params(batch_size=0), "/hyperparams/batch_size"),
    ("huge batch", params(batch_size=10**9), "/hyperparams/batch_size"),
    ("all for training", params(train_split=1), "/hyperparams/train_split"),
    ("nothing for training", params(train_split=0), "/hyperparams/train_split"),
    ("negative seed", params(seed=-1), "/hyperparams/seed"),
    ("no samples", params(max_samples=0), "/hyperparams/max_samples"),
    ("one sample to validate", params(max_samples=2, train_split=0.001), "/hyperparams/train_split"),
    ("shuffle a string", params(shuffle="no"), "/hyperparams/shuffle"),
    ("unknown loss", params(loss="mes"), "/hyperparams/loss"),
    ("unknown data set", params(dataset_type="minst"), "/hyperparams/dataset_type"),
    ("data set a number", params(dataset_type=1), "/hyperparams/dataset_type"),
    ("unknown hyperparameter", params(epoch=1), "/hyperparams/epoch"),
    ("optimizer a number", params(optimizer=1), "/hyperparams/optimizer"),
    ("unknown optimizer", params(optimizer={"type": "lyon"}), "/hyperparams/optimizer/type"),
    ("negative rate", params(optimizer={"type": "sgd", "lr": -1}), "/hyperparams/optimizer/lr"),
    ("rate a string", params(optimizer={"type": "sgd", "lr": "0.1"}), "/hyperparams/optimizer/lr"),
    ("wrong data set for the net", params(dataset_type="cifar10"), "/architecture/input_channels"),
    ("more classes than outputs", params(dataset_type="emnist"), "/architecture/layers/2/out"),
    ("model id a number", {**BODY, "model_id": 1}, "/model_id"),
    ("model id a path", {**BODY, "model_id": "../../x"}, "/model_id"),
    ("name a list", {**BODY, "name": ["x"]}, "/name"),
    ("description a number", {**BODY, "description": 1}, "/description"),
    ("queue a number", {**BODY, "queue": 1}, "/queue"),
    ("unknown field", {**BODY, "hyperparameters": {}}, "/hyperparameters"),
]


@pytest.mark.parametrize(("body", "pointer"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_bad_bodies_are_a_400_that_names_the_place(trained: Trained, body: Any, pointer: str) -> None:
    before = len(trained.client.get("/api/runs").json["runs"])
    answer = trained.client.post("/api/train", json=body)
    assert answer.status_code == 400, answer.json
    assert pointer in [problem["pointer"] for problem in answer.json["errors"]], answer.json
    assert isinstance(answer.json["error"], str) and len(answer.json["error"]) < 1000
    assert len(trained.client.get("/api/runs").json["runs"]) == before


def test_a_network_that_does_not_fit_into_memory_is_refused_with_the_numbers(trained: Trained) -> None:
    wide = [{"type": "linear", "out": 9_000_000}, {"type": "linear", "out": 9_000_000}, LAST]
    answer = trained.client.post("/api/train", json=layers(*wide))
    assert answer.status_code == 400 and re.search(r"needs \d+\.\d GB .* are available", answer.json["error"])


def test_ignored_fields_are_said(client: FlaskClient, held: threading.Event) -> None:
    body = params(optimizer={"type": "adam", "lr": 0.01, "momentum": 0.9})
    answer = client.post("/api/train", json=body)
    assert answer.status_code == 202
    assert ["momentum" in warning and "adam" in warning for warning in answer.json["warnings"]] == [True]


def test_what_is_legal_and_seldom_meant_is_said(client: FlaskClient, held: threading.Event) -> None:
    layers = [{**LAYERS[0], "bias": False}, {"type": "batchnorm1d", "momentum": 0.99}, *LAYERS[1:]]
    body = {"architecture": {**NET, "layers": layers}, "hyperparams": {**PARAMS, "batch_size": 269}}
    answer = client.post("/api/train", json=body)
    assert answer.status_code == 202
    momentum, batch = answer.json["warnings"]
    assert momentum.startswith("architecture.layers[1].momentum: 0.99 is the weight of each new batch")
    assert batch.startswith("hyperparams.batch_size: 270 training samples in batches of 269 leave a last batch of one")
    first, second = answer.json["doubts"]
    assert (first["rule"], first["pointer"]) == ("norm_momentum", "/architecture/layers/1/momentum")
    assert (second["rule"], second["pointers"]) == ("last_batch_of_one", ["/hyperparams/batch_size"])
    assert [f"{each['path']}: {each['reason']}; {each['cure']}" for each in (first, second)] == [momentum, batch]
    run = client.get(f"/api/runs/{answer.json['run_id']}").json
    assert run["warnings"] == [momentum, batch] and "doubts" not in run
    body["hyperparams"]["batch_size"] = 1
    refused = client.post("/api/train", json=body)
    assert refused.status_code == 400
    assert [error["pointer"] for error in refused.json["errors"]] == ["/hyperparams/batch_size"]
