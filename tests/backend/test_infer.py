"""/api/infer: what is asked, how the pixels may come, and what is refused."""

from __future__ import annotations

import json
import re
import threading
from typing import Any

import numpy as np
import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.backend.conftest import BODY, Trained, finish, parts, wait_running

BLANK = [0.0] * 784


def picture(seed: int = 0) -> list[float]:
    values: list[float] = np.random.default_rng(seed).random(784).round(3).tolist()
    return values


def rows(values: list[float]) -> list[list[float]]:
    return [values[at : at + 28] for at in range(0, 784, 28)]


def ask(trained: Trained, **body: Any) -> Any:
    return trained.client.post("/api/infer", json=body)


def test_one_image_is_answered(trained: Trained) -> None:
    answer = ask(trained, run_id=trained.run_id, pixels=picture())
    assert answer.status_code == 200, answer.json
    assert list(answer.json) == ["run_id", "label", "probabilities", "prediction", "dataset_type"]
    assert answer.json["run_id"] == trained.run_id and answer.json["dataset_type"] == "digits"
    probabilities = answer.json["probabilities"]
    assert len(probabilities) == 10 and sum(probabilities) == pytest.approx(1, abs=1e-5)
    assert answer.json["label"] == int(np.argmax(probabilities))
    assert answer.json["prediction"] == str(answer.json["label"])


@pytest.mark.slow
def test_a_run_in_bfloat16_answers_as_it_was_measured(client: FlaskClient) -> None:
    body = {**BODY, "hyperparams": {**BODY["hyperparams"], "precision": "bfloat16", "epochs": 1}}
    run = finish(client, client.post("/api/train", json=body).json["run_id"])
    samples = run["sample_predictions"]
    batch = [[value / 255 for row in sample["grid"] for value in row] for sample in samples]
    answer = client.post("/api/infer", json={"run_id": run["run_id"], "batch": batch}).json
    assert answer["labels"] == [sample["prediction"] for sample in samples]
    told = [max(probabilities) for probabilities in answer["probabilities"]]
    assert np.median(np.abs(np.subtract(told, [sample["confidence"] for sample in samples]))) < 1e-5


def test_the_run_recognises_its_own_samples(trained: Trained) -> None:
    for sample in trained.client.get(f"/api/runs/{trained.run_id}").json["sample_predictions"]:
        pixels = [value / 255 for row in sample["grid"] for value in row]
        answer = ask(trained, run_id=trained.run_id, pixels=pixels).json
        assert answer["label"] == sample["prediction"]
        assert max(answer["probabilities"]) == pytest.approx(sample["confidence"], abs=1e-4)


def test_nested_pixels_mean_the_same(trained: Trained) -> None:
    flat = picture()
    expected = ask(trained, run_id=trained.run_id, pixels=flat).json
    for pixels in (rows(flat), [rows(flat)], [[[value] for value in row] for row in rows(flat)]):
        assert ask(trained, run_id=trained.run_id, pixels=pixels).json == expected
    assert ask(trained, run_id=trained.run_id, pixels=[0] * 783 + [1]).status_code == 200, "integers are numbers"


def test_a_batch_is_answered_in_order(trained: Trained) -> None:
    images = [picture(seed) for seed in range(5)]
    answer = ask(trained, run_id=trained.run_id, batch=images)
    assert answer.status_code == 200
    assert list(answer.json) == ["run_id", "labels", "predictions", "probabilities", "dataset_type"]
    singles = [ask(trained, run_id=trained.run_id, pixels=image).json for image in images]
    assert answer.json["labels"] == [single["label"] for single in singles]
    assert answer.json["predictions"] == [single["prediction"] for single in singles]
    # Another batch size adds the same float32 numbers in another order.
    np.testing.assert_allclose(answer.json["probabilities"], [single["probabilities"] for single in singles], atol=1e-5)
    nested = ask(trained, run_id=trained.run_id, batch=[rows(image) for image in images])
    assert nested.json == answer.json
    assert len(ask(trained, run_id=trained.run_id, batch=[BLANK] * 600).json["labels"]) == 600


def test_a_model_answers_with_its_latest_then_its_promoted_run(app: Flask) -> None:
    client = app.test_client()
    client.post("/api/models/mine/save", json=BODY)
    none = client.post("/api/infer", json={"model_id": "mine", "pixels": BLANK})
    assert none.status_code == 409 and "no succeeded run" in none.json["error"]
    first = client.post("/api/train", json={"model_id": "mine"}).json["run_id"]
    finish(client, first)
    second = client.post("/api/train", json={"model_id": "mine"}).json["run_id"]
    finish(client, second)
    assert client.post("/api/infer", json={"model_id": "mine", "pixels": BLANK}).json["run_id"] == second
    client.post("/api/models/mine/save", json={"run_id": first})
    assert client.post("/api/infer", json={"model_id": "mine", "pixels": BLANK}).json["run_id"] == first
    both = client.post("/api/infer", json={"model_id": "mine", "run_id": second, "pixels": BLANK})
    assert both.status_code == 200 and both.json["run_id"] == second
    wider = {**BODY["architecture"], "layers": [{"type": "linear", "out": 10}]}
    client.post("/api/models/mine/save", json={"architecture": wider})
    changed = client.post("/api/infer", json={"model_id": "mine", "pixels": BLANK})
    assert changed.status_code == 409 and "differs from that of its latest run" in changed.json["error"]
    assert client.post("/api/infer", json={"run_id": second, "pixels": BLANK}).status_code == 200
    same = {**BODY["architecture"], "layers": [{"type": "linear", "units": 16}, *BODY["architecture"]["layers"][1:]]}
    client.post("/api/models/mine/save", json={"architecture": same})
    assert client.post("/api/infer", json={"model_id": "mine", "pixels": BLANK}).json["run_id"] == second


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "run_id: is required"),
        ({"pixels": BLANK}, "run_id: is required"),
        ({"run_id": "R"}, "pixels: is required"),
        ({"run_id": "R", "pixels": None}, "pixels: is required"),
        ({"run_id": "R", "pixels": BLANK, "batch": [BLANK]}, "batch: came beside pixels"),
        ({"run_id": 5, "pixels": BLANK}, "run_id: must be a string, got 5"),
        ({"run_id": ["R"], "pixels": BLANK}, "run_id: must be a string"),
        ({"run_id": True, "pixels": BLANK}, "run_id: must be a string, got true"),
        ({"run_id": None, "pixels": BLANK}, "run_id: is required"),
        ({"run_id": "", "pixels": BLANK}, "run_id: must not be blank"),
        ({"run_id": "x" * 200, "pixels": BLANK}, "run_id: must have at most 128"),
        ({"model_id": 5, "pixels": BLANK}, "model_id: must be a string"),
        ({"model_id": "../x", "pixels": BLANK}, "model_id: must be 1 to 128 of"),
        ({"run_id": "R", "pixel": BLANK}, "pixel: is not a field of this request. Did you mean 'pixels'"),
    ],
)
def test_bad_requests_are_a_400(trained: Trained, body: dict[str, Any], message: str) -> None:
    answer = ask(trained, **body)
    assert answer.status_code == 400 and message in answer.json["error"], answer.json


def test_a_run_of_another_model_is_a_400(trained: Trained) -> None:
    answer = ask(trained, run_id=trained.run_id, model_id="other", pixels=BLANK)
    assert answer.status_code == 400 and f"belongs to model {trained.model_id}" in answer.json["error"]


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        ([], "pixels: must be 784 numbers from 0 to 1 .*, got 0"),
        (BLANK[:-1], "pixels: must be 784 numbers .* flat or as 28 rows of 28, got 783"),
        ([0.0] * 785, "got 785"),
        ([[0.0] * 27] * 28, "got 28 x 27"),
        ([[[[0.0] * 28] * 28]] * 2, "got 2 x 1 x 28 x 28; send several images as batch"),
        ([BLANK, BLANK], "got 2 x 784; send several images as batch"),
        ([BLANK[:-1]], "got 1 x 783$"),
        ([[[[[0.0]]]]], "nested deeper"),
        ([[0.0] * 28] * 27 + [[0.0] * 27], r"pixels\[27\]: must have 28 values like the list before it, got 27"),
        ([[0.0] * 28] * 27 + [0.5], r"pixels\[27\]: must be a list like its neighbours, got 0.5"),
        ("0" * 784, "pixels: must be 784 numbers .*, got"),
        ({"0": 1}, "pixels: must be 784 numbers"),
        (0.5, "pixels: must be 784 numbers .*, got 0.5"),
        (True, "got true"),
        ([0.0] * 783 + ["0.5"], r'pixels\[783\]: must be a number from 0 to 1, got "0.5"'),
        ([True] + [0.0] * 783, r"pixels\[0\]: must be a number from 0 to 1, got true"),
        ([None] + [0.0] * 783, r"pixels\[0\]: must be a number from 0 to 1, got null"),
        ([{}] + [0.0] * 783, r"pixels\[0\]: must be a number from 0 to 1"),
        ([float("nan")] + [0.0] * 783, r"pixels\[0\]: must be a finite number, got NaN"),
        ([0.0] * 5 + [float("inf")] + [0.0] * 778, r"pixels\[5\]: must be a finite number, got Infinity"),
        ([-0.1] + [0.0] * 783, r"pixels\[0\]: must be a number from 0 to 1, got -0.1"),
        ([1.0, 1.01] + [0.0] * 782, r"pixels\[1\]: must be a number from 0 to 1, got 1.01$"),
        ([1.01, 200] + [0.0] * 782, r"pixels\[0\]: .*, got 1.01; divide grey values from 0 to 255 by 255"),
        ({str(index): 0.5 for index in range(784)}, r"pixels: must be 784 .*; .* send Array.from\(array\)$"),
        ([{str(index): 0.5 for index in range(28)}] * 28, r"pixels\[0\]: must be .*; .* send Array.from\(array\)$"),
        ([0.0, 255.0] + [0.0] * 782, r"pixels\[1\]: .*, got 255.0; divide grey values from 0 to 255 by 255"),
        ([0] * 783 + [10**400], r"pixels\[783\]: must be a number from 0 to 1"),
        ([[0.0] * 28] * 2 + [[0.0] * 5 + [2] + [0.0] * 22] + [[0.0] * 28] * 25, r"pixels\[2\]\[5\]: .*got 2"),
    ],
)
def test_wrong_pixels_are_a_422(trained: Trained, pixels: Any, message: str) -> None:
    body = json.dumps({"run_id": trained.run_id, "pixels": pixels})
    answer = trained.client.post("/api/infer", data=body, content_type="application/json")
    assert answer.status_code == 422 and re.search(message, answer.json["error"]), answer.json
    assert answer.json["errors"][0]["pointer"].startswith("/pixels")


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ([], "batch: must be a list of at least one image"),
        (5, "batch: must be a list of at least one image, got 5"),
        (BLANK, "batch: must be 784 numbers .* each, got no list of images"),
        ([BLANK, BLANK[:-1]], r"batch\[1\]: must have 784 values like the list before it, got 783"),
        ([BLANK, rows(BLANK)], r"batch\[1\]: must have 784 values"),
        ([BLANK, 3], r"batch\[1\]: must be a list like its neighbours, got 3"),
        ([BLANK, [2.0] + BLANK[1:]], r"batch\[1\]\[0\]: must be a number from 0 to 1, got 2.0"),
        ([[], []], "batch: must be 784 numbers .*, got 0"),
    ],
)
def test_wrong_batches_are_a_422(trained: Trained, batch: Any, message: str) -> None:
    answer = ask(trained, run_id=trained.run_id, batch=batch)
    assert answer.status_code == 422 and re.search(message, answer.json["error"]), answer.json


def test_numbers_beyond_every_float_are_a_422(trained: Trained) -> None:
    for number in (b"1e999", b"1e39", b"-1e39", b"9" * 5000):
        body = b'{"run_id": "%s", "pixels": [%s]}' % (trained.run_id.encode(), b",".join([b"0"] * 783 + [number]))
        answer = trained.client.post("/api/infer", data=body, content_type="application/json")
        assert answer.status_code == 422 and answer.json["errors"][0]["pointer"] == "/pixels/783", answer.json


def test_unknown_and_unfinished_runs(app: Flask, trained: Trained, held: threading.Event) -> None:
    assert ask(trained, run_id="r_nope", pixels=BLANK).status_code == 404
    assert ask(trained, model_id="m_nope", pixels=BLANK).status_code == 404
    client = app.test_client()
    run_id = client.post("/api/train", json=BODY).json["run_id"]
    wait_running(client, run_id)
    answer = client.post("/api/infer", json={"run_id": run_id, "pixels": BLANK})
    assert answer.status_code == 409 and "is running" in answer.json["error"]


def test_missing_and_damaged_weights_are_told_apart(app: Flask) -> None:
    client = app.test_client()
    run_id = client.post("/api/train", json=BODY).json["run_id"]
    finish(client, run_id)
    path = parts(app).checkpoints.weights(run_id)
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    damaged = client.post("/api/infer", json={"run_id": run_id, "pixels": BLANK})
    assert damaged.status_code == 500 and "damaged" in damaged.json["error"] and str(path) not in damaged.json["error"]
    path.write_bytes(content)
    assert client.post("/api/infer", json={"run_id": run_id, "pixels": BLANK}).status_code == 200
    path.unlink()
    gone = client.post("/api/infer", json={"run_id": run_id, "pixels": BLANK})
    assert gone.status_code == 409 and "gone" in gone.json["error"], "also for a network that is in memory"
