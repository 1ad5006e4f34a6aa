"""Kept weights measured apart: the figures of their own run, on other samples too, and never in the way of others."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from flask import Flask
from flask.testing import FlaskClient

from backend.actions import evaluation
from backend.actions.evaluation import within
from backend.cli.top import main
from backend.client import Client, Conflict, Invalid
from backend.errors import ApiError
from nets import datasets
from nets.datasets.access import BUNDLED
from nets.training.evaluation import Step
from tests.backend.conftest import BODY, PARAMS, Trained, finish, serving, wait_running
from tests.backend.samples import add_run

METRICS = ["accuracy", "f1", "confusion_matrix", "auroc", "ece", "mse", "r2", "top_2"]


@pytest.fixture(scope="module")
def client(trained: Trained) -> FlaskClient:
    return trained.client


def evaluated(client: FlaskClient, run_id: str, **fields: Any) -> dict[str, Any]:
    answer = client.post("/api/evaluate", json={"run_id": run_id, **fields})
    assert answer.status_code == 200, answer.json
    found: dict[str, Any] = answer.json
    return found


def test_the_figures_are_those_of_the_run(trained: Trained) -> None:
    record = trained.client.get(f"/api/runs/{trained.run_id}").json
    test = evaluated(trained.client, trained.run_id, metrics=METRICS)
    assert (test["accuracy"], test["loss"]) == (record["test_accuracy"], record["test_loss"])
    assert test["baseline_accuracy"] == record["baseline_accuracy"]["test"]
    assert test["metrics"]["accuracy"] == test["accuracy"] and test["samples"] == 360
    assert np.sum(test["metrics"]["confusion_matrix"]) == 360 and test["metrics"]["auroc"] > test["metrics"]["r2"]
    assert (test["dataset_type"], test["split"], test["warnings"]) == ("digits", "test", [])
    assert test["run_id"] == trained.run_id and test["model_id"] == trained.model_id and test["seconds"] > 0
    assert test["device"] == record["device"]
    assert 0 < len(test["worst"]) <= 8 and all(each["label"] != each["prediction"] for each in test["worst"])
    validated = evaluated(trained.client, trained.run_id, split="validation")
    last = record["metrics"][-1]
    assert (validated["accuracy"], validated["loss"]) == (last["val_accuracy"], last["val_loss"])
    assert validated["samples"] == 30 and validated["metrics"] == {}
    assert evaluated(trained.client, trained.run_id, split="train")["samples"] == 270


def test_metrics_are_those_that_the_run_was_asked_for(trained: Trained) -> None:
    body = {**BODY, "hyperparams": {**PARAMS, "metrics": METRICS, "epochs": 1}}
    run_id = trained.client.post("/api/train", json=body).json["run_id"]
    record = finish(trained.client, run_id)
    try:
        test = evaluated(trained.client, run_id)
        assert test["metrics"] == record["test_metrics"] and test["worst"] == record["worst"]
        assert evaluated(trained.client, run_id, metrics=["f1"])["metrics"].keys() == {"f1", "f1_per_class"}
        assert evaluated(trained.client, run_id, split="validation")["metrics"] == record["metrics"][-1]["metrics"]
    finally:
        trained.client.delete(f"/api/runs/{run_id}?with_model=true")


def test_a_model_stands_for_its_run_and_samples_are_bounded(trained: Trained) -> None:
    answer = trained.client.post("/api/evaluate", json={"model_id": trained.model_id, "max_samples": 7})
    assert answer.status_code == 200 and answer.json["run_id"] == trained.run_id and answer.json["samples"] == 7
    one = evaluated(trained.client, trained.run_id, max_samples=1, metrics=["auroc", "f1"])
    assert one["metrics"]["auroc"] is None and "auroc is null" in one["warnings"][0]


def test_any_data_set_that_fits_will_do(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of the same shape with as many classes: here the digits, with one more place."""
    digits = datasets.load("digits", trained.app.extensions["lamina"].settings.data_dir)
    monkeypatch.setitem(BUNDLED, "digits", lambda: digits)
    loaded: list[str] = []

    def load(name: str, folder: object) -> datasets.Dataset:
        loaded.append(name)
        return digits

    monkeypatch.setattr(datasets, "load", load)
    other = evaluated(trained.client, trained.run_id, dataset_type="fashion_mnist")
    assert loaded == ["fashion_mnist"] and other["dataset_type"] == "fashion_mnist"
    assert other["accuracy"] == evaluated(trained.client, trained.run_id)["accuracy"]
    assert "classes of fashion_mnist are others than those of digits" in other["warnings"][0]


@pytest.mark.parametrize(
    ("fields", "pointer", "said"),
    [
        (
            {"dataset_type": "cifar10"},
            "/dataset_type",
            "must be a data set that fits the network, which takes 1 x 28 x 28",
        ),
        ({"dataset_type": "emnist"}, "/dataset_type", "send one of mnist, fashion_mnist, kmnist, digits"),
        ({"dataset_type": "digit"}, "/dataset_type", "Did you mean 'digits'"),
        ({"split": "val"}, "/split", "must be 'test', 'train' or 'validation'"),
        ({"metrics": ["f11"]}, "/metrics/0", "Did you mean 'f1'"),
        ({"metrics": [{"type": "top_k", "k": 11}]}, "/metrics/0/k", "must be at most 10 for the 10 classes of digits"),
        ({"metrics": "f1"}, "/metrics", "must be a list of metrics"),
        ({"max_samples": 0}, "/max_samples", "must be at least 1, got 0"),
        ({"pixels": []}, "/pixels", "is not a field of this request"),
    ],
)
def test_what_is_wrong_with_a_request(trained: Trained, fields: dict[str, Any], pointer: str, said: str) -> None:
    answer = trained.client.post("/api/evaluate", json={"run_id": trained.run_id, **fields})
    assert answer.status_code == 400, answer.json
    problem = answer.json["errors"][0]
    assert problem["pointer"] == pointer and said in problem["detail"]


def test_a_network_has_to_be_there(trained: Trained, app: Flask) -> None:
    client = trained.client
    nothing = client.post("/api/evaluate", json={})
    assert nothing.status_code == 400 and nothing.json["errors"][0]["pointer"] == "/run_id"
    assert client.post("/api/evaluate", json={"run_id": "r_none"}).status_code == 404
    absent = client.post("/api/evaluate", json={"run_id": trained.run_id, "dataset_type": "mnist"})
    assert absent.status_code == 409 and "mnist is not in the data directory" in absent.json["error"]
    add_run(app.extensions["lamina"].store, "r_waits")
    assert app.test_client().post("/api/evaluate", json={"run_id": "r_waits"}).status_code == 409


def test_there_is_one_at_a_time(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    began, release = threading.Event(), threading.Event()
    plain = evaluation.evaluate

    def slow(*given: Any, **named: Any) -> Iterator[Step]:
        began.set()
        release.wait(20)
        return (yield from plain(*given, **named))

    monkeypatch.setattr(evaluation, "evaluate", slow)
    first: list[dict[str, Any]] = []
    asking = threading.Thread(target=lambda: first.append(evaluated(trained.app.test_client(), trained.run_id)))
    asking.start()
    assert began.wait(20)
    refused = trained.client.post("/api/evaluate", json={"run_id": trained.run_id})
    assert refused.status_code == 503 and refused.headers["Retry-After"] == "2"
    assert "one at a time" in refused.json["error"]
    assert trained.client.get("/api/health").status_code == 200
    release.set()
    asking.join(20)
    assert first and evaluated(trained.client, trained.run_id)["accuracy"] == first[0]["accuracy"]


def test_an_evaluation_takes_a_bounded_time_and_gives_way() -> None:
    def steps(*each: Step) -> Iterator[Step]:
        for step in each:
            time.sleep(0.02)
            yield step
        return "done"

    assert within(9, steps(Step("evaluating", 1), Step("evaluating", 2)), gives_way=lambda: False) == "done"
    began = time.monotonic()
    assert within(9, steps(Step("evaluating", 1), Step("evaluating", 2)), gives_way=lambda: True) == "done"
    assert time.monotonic() - began >= 0.119  # two steps, and twice as long a pause after each
    with pytest.raises(ApiError, match="900 samples took the 0 s .* send a max_samples of 450") as raised:
        within(0, steps(Step("evaluating", 900)), gives_way=lambda: False)
    assert raised.value.status == 503 and raised.value.headers == {"Retry-After": "10"}
    with pytest.raises(ApiError, match="still being compiled"):
        within(0, steps(Step("compiling")), gives_way=lambda: False)


def test_a_run_that_trains_goes_on(trained: Trained, held: threading.Event) -> None:
    run_id = trained.client.post("/api/train", json=BODY).json["run_id"]
    try:
        wait_running(trained.client, run_id)
        assert evaluated(trained.client, trained.run_id)["samples"] == 360
        assert trained.client.get(f"/api/runs/{run_id}").json["state"] == "running"
    finally:
        held.set()
        finish(trained.client, run_id)
        trained.client.delete(f"/api/runs/{run_id}?with_model=true")


def test_clients_and_commands_evaluate_over_sockets(trained: Trained, capsys: pytest.CaptureFixture[str]) -> None:
    record = trained.client.get(f"/api/runs/{trained.run_id}").json
    with serving(trained.app) as url:
        client = Client(url)
        found = client.evaluate(trained.run_id[:12], metrics=["f1", {"type": "top_k", "k": 2}])
        assert found.accuracy == record["test_accuracy"] and set(found.metrics) == {"f1", "f1_per_class", "top_2"}
        assert client.evaluate(model=trained.model_id, split="validation", max_samples=5).samples == 5
        with pytest.raises(Invalid, match="Did you mean 'f1'"):
            client.evaluate(trained.run_id, metrics=["f11"])
        with pytest.raises(Conflict, match="mnist is not in the data directory"):
            client.evaluate(trained.run_id, dataset="mnist")
        words = ["--url", url, "evaluate"]
        asked = ["--metric", "f1", "--metric", "confusion_matrix", "--metric", "auroc", "--max-samples", "100"]
        assert main([*words, trained.run_id[:12], *asked]) == 0
        shown = capsys.readouterr().out
        for said in ("100 of digits, test", "most frequent class", "f1", "auroc", "class, taken for"):
            assert said in shown
        for named in (trained.model_id, "shared", trained.run_id):
            assert main([*words, named, "--split", "validation", "--json"]) == 0
            assert json.loads(capsys.readouterr().out)["samples"] == 30
        assert main([*words, trained.run_id, "--metric", "f11"]) != 0
        assert "Did you mean 'f1'" in capsys.readouterr().err
