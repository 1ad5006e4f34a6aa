"""/api/train: what is accepted, what is refused, and in which order."""

from __future__ import annotations

import copy
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from backend.demo.example import EXAMPLE
from nets.hyperparams.hyperparams import parse_hyperparams
from nets.training.events import Progress
from tests.backend.conftest import BODY, LAYERS, NET, PARAMS, Trained, finish, offline_app, parts, wait_running
from tests.backend.samples import DEADLINE, read_frame


def test_the_answer_has_what_the_frontend_reads(trained: Trained) -> None:
    answer = trained.accepted
    assert re.fullmatch(r"r_[0-9a-f]{32}", answer["run_id"]) and re.fullmatch(r"m_[0-9a-f]{32}", answer["model_id"])
    assert answer["events_url"] == f"/api/runs/{answer['run_id']}/events"
    assert (answer["status"], answer["epochs_total"], answer["metrics"]) == ("queued", 2, [])
    assert answer["test_accuracy"] is None and answer["warnings"] == [] and answer["dataset_type"] == "digits"
    assert answer["created_at"].endswith("+00:00") and "queue_position" not in answer


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
    ("unknown loss", params(loss="mse"), "/hyperparams/loss"),
    ("unknown data set", params(dataset_type="minst"), "/hyperparams/dataset_type"),
    ("data set a number", params(dataset_type=1), "/hyperparams/dataset_type"),
    ("unknown hyperparameter", params(epoch=1), "/hyperparams/epoch"),
    ("optimizer a number", params(optimizer=1), "/hyperparams/optimizer"),
    ("unknown optimizer", params(optimizer={"type": "lion"}), "/hyperparams/optimizer/type"),
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


def test_a_bad_body_is_a_400_even_while_a_run_is_active(app: Flask, held: threading.Event) -> None:
    client = app.test_client()
    first = client.post("/api/train", json=BODY).json
    wait_running(client, first["run_id"])
    assert client.post("/api/train", json=params(epochs=0)).status_code == 400
    assert client.post("/api/train", json={**BODY, "model_id": "m_nope"}).status_code == 404
    models = len(client.get("/api/models").json)
    busy = client.post("/api/train", json=BODY)
    assert busy.status_code == 409 and first["run_id"] in busy.json["error"] and "queue" in busy.json["error"]
    assert len(client.get("/api/models").json) == models, "a refused request leaves no model behind"


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

    answer = client.post(f"/api/train/{second['run_id']}/cancel", content_type="application/json")
    assert answer.status_code == 202 and answer.json["run_id"] == second["run_id"]
    assert finish(client, second["run_id"])["state"] == "cancelled"
    assert client.get(f"/api/runs/{third['run_id']}").json["queue_position"] == 1
    assert client.post(f"/api/train/{first.json['run_id']}/cancel", json={}).status_code == 202
    assert finish(client, first.json["run_id"])["state"] == "cancelled"
    wait_running(client, third["run_id"])
    assert client.post(f"/api/train/{third['run_id']}/cancel").status_code == 202
    assert finish(client, third["run_id"])["state"] == "cancelled"
    again = client.post(f"/api/train/{third['run_id']}/cancel")
    assert again.status_code == 409 and "is cancelled" in again.json["error"]
    assert client.post("/api/train/r_nope/cancel").status_code == 404


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
        assert client.post(f"/api/train/{run_id}/cancel").json == {"run_id": run_id, "status": "cancelling"}
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
ADAM = {"type": "adam", "lr": 0.02, "betas": [0.8, 0.99], "eps": 1e-8, "weight_decay": 0.0}
SGD = {"type": "sgd", "lr": 0.1, "momentum": 0.0, "nesterov": False, "weight_decay": 0.0}
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


def test_a_model_without_a_name_gets_a_readable_one(client: FlaskClient, held: threading.Event) -> None:
    names = [client.post("/api/train", json={**BODY, "queue": True}).json["name"] for _ in range(2)]
    assert all(re.fullmatch(r"MLP 16-10 on digits, [a-z]+ [a-z]+", name) for name in names), names


def test_without_a_data_set_the_server_chooses_and_says_why(app: Flask, held: threading.Event) -> None:
    client = app.test_client()
    answer = client.post("/api/train", json={**BODY, "hyperparams": None}).json
    assert answer["dataset_type"] == "digits"
    [warning] = answer["warnings"]
    assert "digits" in warning and "mnist is out of reach" in warning
    assert client.get(f"/api/runs/{answer['run_id']}").json["warnings"] == [warning]
    assert client.get(f"/api/models/{answer['model_id']}").json["hyperparams"] is None


def test_mnist_is_the_first_choice(held: threading.Event, tmp_path: Path) -> None:
    asked = []

    def available(name: str, data_dir: Path) -> tuple[bool, str]:
        asked.append((name, data_dir))
        return True, "cached"

    app = offline_app(tmp_path, available=available)
    client = app.test_client()
    body = {**EXAMPLE, "queue": True}
    first, second = client.post("/api/train", json=body).json, client.post("/api/train", json=body).json
    assert first["dataset_type"] == second["dataset_type"] == "mnist" and first["warnings"] == []
    assert asked == [("mnist", tmp_path / "data")], "the answer is kept for a while"
    parts(app).close()


def test_ignored_fields_are_said(client: FlaskClient, held: threading.Event) -> None:
    body = params(optimizer={"type": "rmsprop", "lr": 0.01, "momentum": 0.9})
    answer = client.post("/api/train", json=body)
    assert answer.status_code == 202
    assert ["momentum" in warning and "rmsprop" in warning for warning in answer.json["warnings"]] == [True]


def test_what_is_legal_and_seldom_meant_is_said(client: FlaskClient, held: threading.Event) -> None:
    layers = [LAYERS[0], {"type": "batchnorm1d", "momentum": 0.99}, *LAYERS[1:]]
    body = {"architecture": {**NET, "layers": layers}, "hyperparams": {**PARAMS, "batch_size": 269}}
    answer = client.post("/api/train", json=body)
    assert answer.status_code == 202
    momentum, batch = answer.json["warnings"]
    assert momentum.startswith("architecture.layers[1].momentum: 0.99 is the weight of each new batch")
    assert batch.startswith("hyperparams.batch_size: 270 training samples in batches of 269 leave a last batch of one")
    body["hyperparams"]["batch_size"] = 1
    refused = client.post("/api/train", json=body)
    assert refused.status_code == 400
    assert [error["pointer"] for error in refused.json["errors"]] == ["/hyperparams/batch_size"]


def test_a_server_that_stops_takes_no_runs(app: Flask) -> None:
    parts(app).runs.shutdown()
    answer = app.test_client().post("/api/train", json=BODY)
    assert answer.status_code == 503 and "stopping" in answer.json["error"]
    assert app.test_client().get("/api/models").json == []
