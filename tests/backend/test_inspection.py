"""What a training would cost: answered by the check that a training goes through, and nothing is run for it."""

from __future__ import annotations

import copy
import random
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from backend.actions.launch import Launch
from backend.actions.order import Orders
from backend.actions.resume import Resume
from backend.services import Services
from nets.errors import SpecError
from tests.backend.conftest import BODY, LAYERS, NET, PARAMS, Trained, offline_app, parts

Json = dict[str, Any]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    app = offline_app(tmp_path_factory.mktemp("inspection"))
    yield app
    parts(app).close()


def inspect(client: FlaskClient, body: Json) -> Json:
    answer = client.post("/api/inspect", json=body)
    assert answer.status_code == 200, answer.json
    found: Json = answer.json
    return found


def test_a_body_of_train_is_answered_and_nothing_is_stored(client: FlaskClient) -> None:
    found = inspect(client, {**BODY, "name": "a run", "tags": ["x"], "notes": "", "queue": True})
    assert found["valid"] and found["problems"] == [] and found["dataset"] == "digits"
    assert [row["params"] for row in found["layers"]] == [12_560, 0, 170, 0]
    assert found["totals"]["params"] == 12_730 and found["totals"]["batch"] == 32
    assert client.get("/api/models").json == [] and client.get("/api/runs").json["runs"] == []


def test_hyperparams_may_be_left_out_and_a_model_named(client: FlaskClient) -> None:
    assert inspect(client, {"architecture": NET})["valid"]
    defined = {"architecture": NET, "hyperparams": {**PARAMS, "batch_size": 7}}
    model = client.post("/api/models", json=defined).json["model_id"]
    found = inspect(client, {"model_id": model})
    assert found["valid"] and found["totals"]["batch"] == 7
    wrong = inspect(client, {"model_id": model, "hyperparams": {"epochs": 0}})
    assert [each["pointer"] for each in wrong["problems"]] == ["/hyperparams/epochs"]
    assert wrong["totals"]["params"] == 12_730
    assert client.post("/api/inspect", json={"model_id": "m_none"}).status_code == 404
    client.delete(f"/api/models/{model}")


@pytest.mark.parametrize("body", [b"", b"[]", b"3", b"{", b'"x"', b"null", b'{"architecture": NaN}'])
def test_what_is_no_body_at_all_stays_a_400(client: FlaskClient, body: bytes) -> None:
    answer = client.post("/api/inspect", data=body, content_type="application/json")
    assert answer.status_code == 400 and answer.json["errors"]


def test_a_half_built_network_is_answered_with_shapes_and_problems(client: FlaskClient) -> None:
    layers = [{"type": "conv2d", "out_channels": 8, "kernel_size": 3}, {"type": "linear"}, {"type": "softmx"}]
    body = {"architecture": {**NET, "layers": layers}, "hyperparams": PARAMS}
    found = inspect(client, body)
    assert not found["valid"]
    assert [row["output_shape"] for row in found["layers"]] == [[8, 26, 26], None, None]
    assert found["problems"] == client.post("/api/train", json=body).json["errors"]
    assert found["problems"][1]["fix"] == [{"op": "replace", "path": "/architecture/layers/2/type", "value": "softmax"}]


@pytest.mark.parametrize(
    "layer",
    [
        {"type": "conv2d", "out_channels": 1, "kernel_size": 1, "groups": 9_999_999},
        {"type": "conv2d", "out_channels": 8, "kernel_size": 3, "groups": 2},
        {"type": "conv2d", "out_channels": 8, "kernel_size": 64},
        {"type": "residual_block", "out_channels": 4, "in_channels": 7},
        {"type": "maxpool2d", "kernel_size": 64},
        {"type": "batchnorm2d", "num_features": 3},
    ],
)
def test_a_layer_that_does_not_fit_is_a_problem_and_no_failure(client: FlaskClient, layer: Json) -> None:
    body = {"architecture": {**NET, "layers": [layer, {"type": "linear", "out": 10}]}, "hyperparams": PARAMS}
    found = inspect(client, body)
    assert not found["valid"] and found["problems"] == client.post("/api/train", json=body).json["errors"]


MUTATIONS: list[Callable[[random.Random, Json], object]] = [
    lambda draw, body: body.pop("architecture"),
    lambda draw, body: body.pop("hyperparams"),
    lambda draw, body: body.update(name=draw.choice([3, "", "x" * 300, "good"])),
    lambda draw, body: body.update(layers=[]),
    lambda draw, body: body.update(model_id=draw.choice([None, 3, "a b"])),
    lambda draw, body: body.update(architecture=draw.choice([None, [], "x", {}, {"layers": []}])),
    lambda draw, body: body.update(hyperparams=draw.choice([None, [], "x", {}])),
    lambda draw, body: body["hyperparams"].update(batch_size=draw.choice([0, 1, 17, 4096, 10**6, "x"])),
    lambda draw, body: body["hyperparams"].update(dataset_type=draw.choice(["cifar10", "mnist", "no", 3, "digits"])),
    lambda draw, body: body["hyperparams"].update(max_samples=draw.choice([1, 2, 50, 10**9])),
    lambda draw, body: body["hyperparams"].update(train_split=draw.choice([0, 0.001, 0.9, 1])),
    lambda draw, body: body["hyperparams"].update(device=draw.choice(["cpu", "cpu:0", "gpu:7", "x", 3, None])),
    lambda draw, body: body["hyperparams"].update(optimizer=draw.choice([{"type": "adm"}, {"type": "adam"}, {}, 3])),
    lambda draw, body: layers(body).pop(draw.randrange(len(layers(body)))),
    lambda draw, body: layers(body).append(draw.choice([{"type": "relu"}, {"type": "linear", "out": 3}, {}, None])),
    lambda draw, body: layers(body).insert(0, {"type": "conv2d", "out_channels": draw.choice([0, 2, 10**7])}),
    lambda draw, body: layers(body).insert(
        0, {"type": "conv2d", "out_channels": draw.choice([8, 200_000]), "kernel_size": 3, "padding": "same"}
    ),
    lambda draw, body: layers(body).insert(1, {"type": "batchnorm1d"}),
    lambda draw, body: layers(body)[0].update(out=draw.choice([16, 10_000_000, "x", None])),
    lambda draw, body: layers(body)[0].update(name="a", inputs=draw.choice([["a"], ["b"], ["input"], []])),
]


def layers(body: Json) -> list[Json]:
    found: list[Json] = body["architecture"]["layers"]
    return found


def mutated(seed: int) -> Json:
    draw, body = random.Random(seed), copy.deepcopy(BODY)
    layers(body)[0].pop("in"), layers(body)[2].pop("in")
    for change in draw.sample(MUTATIONS, draw.randint(0, 3)):
        try:
            change(draw, body)
        except (KeyError, TypeError, AttributeError, ValueError, IndexError):
            continue  # an earlier change left nothing for this one
    return body


def test_what_inspect_calls_valid_train_accepts_and_nothing_else(app: Flask, client: FlaskClient) -> None:
    orders, seen = orders_of(parts(app)), {True: 0, False: 0}
    for seed in range(200):
        body = mutated(seed)
        found = inspect(client, body)
        try:
            orders.read(body)
            problems: list[str] = []
        except SpecError as error:
            problems = [problem.pointer for problem in error.problems]
        assert found["valid"] == (not problems), (body, found["problems"])
        assert [each["pointer"] for each in found["problems"]] == problems, body
        seen[found["valid"]] += 1
    assert min(seen.values()) > 20, seen


def orders_of(services: Services) -> Orders:
    resume = Resume(services.store, services.checkpoints, services.runs)
    orders = Orders(services.store, resume, services.limits, services.default_dataset, services.settings.kernels)
    return Launch(services.store, services.runs, orders).orders


def test_a_run_that_goes_on_is_inspected_as_such(trained: Trained) -> None:
    client = trained.client
    found = inspect(client, {"resume_from": trained.run_id, "hyperparams": {"epochs": 1}})
    assert [each["pointer"] for each in found["problems"]] == ["/hyperparams/epochs"]
    assert found["totals"]["params"] == 12_730
    assert inspect(client, {"resume_from": trained.run_id, "hyperparams": {"epochs": 9}})["valid"]


def test_what_was_measured_here_before_is_what_predictions_are_made_from(trained: Trained) -> None:
    client = trained.client
    same = inspect(client, BODY)["predicted"]["cpu:0"]
    assert "of the same structure" in same["basis"]
    timing = client.get(f"/api/runs/{trained.run_id}").json["timing"]
    assert same["seconds_per_epoch"] == pytest.approx(timing["median_epoch_seconds"], rel=0.01)
    other = {**BODY, "architecture": {**NET, "layers": [{"type": "linear", "out": 10}]}}
    assert "of the same structure" not in inspect(client, other)["predicted"]["cpu:0"]["basis"]


def test_an_answer_takes_less_than_a_tenth_of_a_second(client: FlaskClient) -> None:
    reference = {
        "layers": [
            *({"type": "conv2d", "out_channels": 32, "kernel_size": 3, "padding": 1}, {"type": "relu"}),
            {"type": "maxpool2d", "kernel_size": 2},
            *({"type": "conv2d", "out_channels": 64, "kernel_size": 3, "padding": 1}, {"type": "relu"}),
            *({"type": "maxpool2d", "kernel_size": 2}, {"type": "flatten"}, {"type": "linear", "out": 128}),
            *LAYERS[1:2],
            *({"type": "linear", "out": 10}, {"type": "softmax"}),
        ]
    }
    body, times = {"architecture": reference, "hyperparams": PARAMS}, []
    for _ in range(6):
        began = time.process_time()
        assert inspect(client, body)["valid"]
        times.append(time.process_time() - began)
    assert min(times) < 0.1
