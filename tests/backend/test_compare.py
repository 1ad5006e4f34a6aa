"""Runs side by side: what differs, where each was best, and metrics at the same epochs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import jsonschema_rs
import pytest
from flask import Flask
from flask.testing import FlaskClient

from backend.actions.compare import (
    compare,
    differences,
    epochs_of,
    essential,
    flat,
    following,
    layer_differences,
    side_by_side,
)
from backend.state.records import Json
from backend.state.store import Store
from tests.backend.conftest import Trained, parts
from tests.backend.samples import METRIC, a_run, add_run

NOW = datetime(2026, 11, 29, 12, 1, tzinfo=UTC)
RELU, SOFTMAX = {"type": "relu"}, {"type": "softmax"}


def linear(out: int) -> Json:
    return {"type": "linear", "out": out}


def metric(run_id: str, epoch: int, loss: float) -> Json:
    values = {"train_loss": loss + 1, "val_loss": loss, "train_accuracy": 0.5, "val_accuracy": 1 - loss / 10}
    times = {"learning_rate": 0.1, "epoch_time": 2.0, "samples_per_sec": 100.0 * epoch, "progress": 0.5}
    return {"run_id": run_id, "epoch": epoch, **values, **times, "eta_seconds": 1.0}


def add(store: Store, run_id: str, losses: list[float], *, first: int = 1, logs: int = 0, **fields: Any) -> None:
    """A run with one metric for each loss, and some log events between them."""
    add_run(store, run_id, **fields)
    store._writer.execute("PRAGMA synchronous = OFF")  # nothing here outlives the test
    for epoch, loss in enumerate(losses, first):
        if logs and epoch % logs == 0:
            store.append_event(run_id, "log", {"run_id": run_id, "level": "info", "message": "..."})
        store.append_event(run_id, "metric", metric(run_id, epoch, loss), epoch=epoch)


@pytest.fixture
def client(app: Flask) -> Iterator[FlaskClient]:
    yield app.test_client()


def ask(client: FlaskClient, *run_ids: str) -> Json:
    answer = client.get(f"/api/compare?runs={','.join(run_ids)}")
    assert answer.status_code == 200, answer.json
    found: Json = answer.json
    return found


def test_only_what_differs_is_told_and_the_rest_is_counted() -> None:
    ours = {"epochs": 3, "optimizer": {"type": "sgd", "lr": 0.1, "momentum": 0.9}, "seed": 1}
    theirs = {"epochs": 3, "optimizer": {"type": "adam", "lr": 0.1, "betas": [0.9, 0.999]}, "seed": 1}
    assert differences([flat(ours), flat(theirs)]) == {
        "differ": {
            "optimizer.type": ["sgd", "adam"],
            "optimizer.momentum": [0.9, None],
            "optimizer.betas": [None, [0.9, 0.999]],
        },
        "equal": 3,
    }
    assert differences([flat(ours)] * 3) == {"differ": {}, "equal": 5}


@pytest.mark.parametrize(
    ("lists", "rows"),
    [
        ([[linear(8), RELU, linear(2)]] * 2, [[0, 0], [1, 1], [2, 2]]),
        ([[linear(8), RELU, linear(2)], [linear(9), RELU, linear(2)]], [[0, 0], [1, 1], [2, 2]]),
        ([[linear(64), RELU, linear(2)], [linear(9), RELU, linear(64), RELU, linear(2)]], [[None, 0], [None, 1], [0, 2], [1, 3], [2, 4]]),
        ([[linear(9), RELU, linear(64), RELU], [linear(64), RELU]], [[0, None], [1, None], [2, 0], [3, 1]]),
        ([[linear(8)], [RELU], [linear(8), RELU]], [[0, None, 0], [None, 0, 1]]),
        ([[], [RELU]], [[None, 0]]),
    ],
)  # fmt: skip
def test_layers_that_are_most_alike_stand_side_by_side(lists: list[list[Json]], rows: list[list[int | None]]) -> None:
    assert side_by_side(lists) == rows


def test_layers_tell_the_fields_in_which_they_differ() -> None:
    inner = [{"type": "repeat", "times": 2, "layers": [linear(out)]} for out in (4, 5)]
    assert layer_differences([[inner[0], RELU, linear(2)], [inner[1], linear(2)]]) == {
        "differ": [
            {"type": "repeat", "places": [0, 0], "differ": {"layers.0.out": [4, 5]}},
            {"type": "relu", "places": [1, None], "differ": {"type": ["relu", None]}},
        ],
        "equal": 1,
    }


def test_fields_that_follow_from_the_layer_before_are_no_differences() -> None:
    assert {"in", "in_channels", "num_features"} <= following() and "num_embeddings" not in following()
    assert essential({"layers": [{"type": "linear", "in": 3, "out": 2, "x": 5}]}) == {"layers": [linear(2)]}


def network(*layers: Json) -> Json:
    return {"input_size": 784, "layers": [*layers, SOFTMAX]}


def test_runs_in_any_state_are_compared() -> None:
    runs = [
        a_run("r_1", architecture=network(linear(10)), hyperparams={"seed": 1}),
        a_run("r_2", state="running", started_at="2026-11-29T12:00:00+00:00", hyperparams={"seed": 2}, architecture=network(linear(8), linear(10))),
        a_run("r_3", state="failed", started_at="2026-11-29T12:00:00+00:00", completed_at="2026-11-29T12:00:10+00:00", hyperparams={"seed": 3}, architecture={"of": "another version"}),
    ]  # fmt: skip
    found = compare(runs, [{}, {}, {}], [], now=NOW)
    assert [run["seconds"] for run in found["runs"]] == [None, 60, 10]
    assert [run["parameters"] for run in found["runs"]] == [7850, 784 * 8 + 8 + 90, None]
    assert [run["samples_per_second"] for run in found["runs"]] == [None, None, None]
    assert found["hyperparams"] == {"differ": {"seed": [1, 2, 3]}, "equal": 0}
    assert found["best"]["val_loss"] == found["last"]["val_loss"] == [None, None, None]
    assert found["metrics"]["val_loss"] == {}


def test_metrics_are_aligned_by_epoch(client: FlaskClient, app: Flask) -> None:
    store = parts(app).store
    add(store, "r_a", [3, 1, 2])
    add(store, "r_b", [5, 4, 3, 2, 1], name="second", hyperparams={"epochs": 5})
    found = ask(client, "r_b", "r_a")
    assert found["metrics"]["val_loss"] == {"1": [5, 3], "2": [4, 1], "3": [3, 2], "4": [2, None], "5": [1, None]}
    assert found["metrics"].keys() == METRIC - {"run_id", "epoch", "progress", "eta_seconds"}
    assert found["best"]["val_loss"] == [{"epoch": 5, "value": 1}, {"epoch": 2, "value": 1}]
    assert found["best"]["train_accuracy"] == [{"epoch": 1, "value": 0.5}] * 2, "the first of equal ones"
    assert found["last"]["val_loss"] == [{"epoch": 5, "value": 1}, {"epoch": 3, "value": 2}]
    assert "learning_rate" in found["last"] and "learning_rate" not in found["best"]
    assert [run["samples_per_second"] for run in found["runs"]] == [350, 250], "the first epoch left out"
    assert [run["name"] for run in found["runs"]] == ["second", found["runs"][1]["name"]]
    assert found["runs"][0]["best"] == {"epoch": 5, "val_loss": 1, "val_accuracy": 0.9}
    assert found["hyperparams"] == {"differ": {"epochs": [5, 3]}, "equal": 0}
    assert found["layers"] == {"differ": [], "equal": 3} and found["input"]["differ"] == {}


def test_long_runs_are_compared_at_the_same_epochs(client: FlaskClient, app: Flask) -> None:
    store = parts(app).store
    add(store, "r_long", [abs(epoch - 133) + 1 for epoch in range(1, 451)], logs=50)
    add(store, "r_next", [900.0 - epoch for epoch in range(201, 421)], first=201, logs=9)
    add(store, "r_short", [1.0, 2.0])
    found = ask(client, "r_long", "r_next", "r_short")["metrics"]["val_loss"]
    assert 100 < len(found) <= 420 and {"1", "133", "450", "201", "420"} <= found.keys()
    for epoch, (long, next_, short) in found.items():
        number = int(epoch)
        assert long == abs(number - 133) + 1
        assert next_ == (900 - number if 201 <= number <= 420 else None)
        assert short == {1: 1.0, 2: 2.0}.get(number)
    assert list(map(int, found)) == sorted(map(int, found))


def test_so_many_epochs_and_no_more() -> None:
    runs = [
        a_run(f"r_{start}", metrics=[{"epoch": start + 50 * step} for step in range(200)]) for start in range(1, 51)
    ]
    epochs = epochs_of(runs)
    assert len(epochs) <= 320 and {1, 50, 9951, 10_000} <= set(epochs)


def test_the_csv_has_every_epoch(client: FlaskClient, app: Flask) -> None:
    store = parts(app).store
    add(store, "r_a", [float(epoch) for epoch in range(1, 521)])
    add(store, "r_b", [1.0, 2.0], first=519)
    add(store, "r_new", [])
    answer = client.get("/api/compare.csv?runs=r_b,r_a,r_new", buffered=True)
    assert answer.mimetype == "text/csv" and "compare.csv" in answer.headers["Content-Disposition"]
    head, *rows = csv.reader(io.StringIO(answer.text))
    assert head[:4] == ["epoch", "train_loss r_b", "train_loss r_a", "train_loss r_new"] and len(head) == 1 + 7 * 3
    assert [int(row[0]) for row in rows] == [*range(1, 521)]
    at = head.index("val_loss r_b")
    assert rows[0][at : at + 3] == ["", "1.0", ""] and rows[518][at : at + 3] == ["1.0", "519.0", ""]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("", "runs: is required"),
        ("?runs=r_1", "runs: must be the ids of 2 to 50 runs, separated by commas, got 1"),
        ("?runs=r_1,", "got an empty one"),
        ("?runs=" + ",".join(f"r_{number}" for number in range(51)), "2 to 50 runs, separated by commas, got 51"),
        ("?runs=r_1,r_2,r_1", 'must name each run once, got "r_1" more than once'),
    ],
)
@pytest.mark.parametrize("path", ["/api/compare", "/api/compare.csv"])
def test_wrong_queries_are_a_400(trained: Trained, path: str, query: str, message: str) -> None:
    answer = trained.client.get(f"{path}{query}")
    assert answer.status_code == 400 and message in answer.json["error"], answer.json


@pytest.mark.parametrize("path", ["/api/compare", "/api/compare.csv"])
def test_unknown_runs_are_all_named(trained: Trained, path: str) -> None:
    answer = trained.client.get(f"{path}?runs=r_x,{trained.run_id},r_y")
    assert answer.status_code == 404
    assert answer.json["error"] == "There are no runs 'r_x', 'r_y'; GET /api/runs lists the known ones"


def test_a_run_that_was_trained_beside_one_that_waits(trained: Trained) -> None:
    record = trained.client.get(f"/api/runs/{trained.run_id}").json
    other = a_run("r_other", model_id=trained.model_id, hyperparams={**record["hyperparams"], "seed": 7})
    parts(trained.app).store.create_run(other, {"run_id": "r_other", "state": "queued"})
    try:
        found = ask(trained.client, trained.run_id, "r_other")
    finally:
        parts(trained.app).store.transition("r_other", "cancelled", data={"run_id": "r_other", "state": "cancelled"})
        parts(trained.app).store.delete_run("r_other")
    assert found["hyperparams"]["differ"] == {"seed": [42, 7]} and found["hyperparams"]["equal"] > 5
    assert [run["parameters"] for run in found["runs"]] == [784 * 16 + 16 + 170, 7850]
    assert found["metrics"]["val_loss"]["2"] == [record["metrics"][1]["val_loss"], None]
    assert found["warnings"] == []
    described = trained.client.get("/api/openapi.json").json["components"]
    jsonschema_rs.validator_for({"$ref": "#/components/schemas/Comparison", "components": described}).validate(found)


def test_what_runs_were_computed_with_is_compared(client: FlaskClient, app: Flask) -> None:
    """Two machines are told apart, and what they took; runs without a record of it are no obstacle."""
    steps = {"p5": 1.0, "p50": 2.0, "p95": 3.0, "steps": 5, "dispatches": 1}
    timing = {"first_epochs": [1], "first_epoch_seconds": 9.0, "median_epoch_seconds": 4.0, "step_seconds": steps}
    told = {"compilation": {"kind": "cold"}, "timing": timing, "peak_memory": {"bytes": 7}, "dataset_sha256": "a"}
    for run_id, model in (("r_one", "a CPU"), ("r_other", "another CPU")):
        add_run(parts(app).store, run_id, environment={"threads": 2, "processor": {"model": model}}, **told)
    add_run(parts(app).store, "r_old")
    found = ask(client, "r_one", "r_other")
    assert found["computed"]["differ"] == {"environment.processor.model": ["a CPU", "another CPU"]}
    run = found["runs"][0]
    assert (run["compilation"], run["peak_memory_bytes"]) == ("cold", 7)
    assert (run["median_epoch_seconds"], run["median_step_seconds"]) == (4.0, 2.0)
    old = ask(client, "r_one", "r_old")
    assert old["computed"]["differ"]["environment.threads"] == [2, None] and old["runs"][1]["compilation"] is None
