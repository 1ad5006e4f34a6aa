"""A run's metrics, polled as JSON and CSV."""

from __future__ import annotations

import csv
import io
import json
import threading
from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient

from backend.cli.top import main
from tests.backend.conftest import BODY, PARAMS, Trained, finish, serving
from tests.backend.samples import METRIC
from tests.backend.test_payloads import events_of, hold_against_the_document


@pytest.fixture(scope="module")
def client(trained: Trained) -> FlaskClient:
    return trained.client


def test_metrics_are_polled_from_the_last_event(trained: Trained) -> None:
    path = f"/api/runs/{trained.run_id}/metrics"
    answer = trained.client.get(path).json
    assert [metric["epoch"] for metric in answer["metrics"]] == [1, 2]
    assert all(metric.keys() == METRIC | {"id"} for metric in answer["metrics"])
    first, last = answer["metrics"][0]["id"], answer["last_event_id"]
    assert [metric["epoch"] for metric in trained.client.get(f"{path}?since={first}").json["metrics"]] == [2]
    rest = trained.client.get(f"{path}?since={last}").json
    assert rest["metrics"] == [] and rest["last_event_id"] == last and rest["state"] == "succeeded"
    for bad in ("-1", "x", "1.5", "", "9" * 30):
        assert trained.client.get(f"{path}?since={bad}").status_code == 400, bad


@pytest.mark.parametrize(
    ("suffix", "accept", "is_csv"),
    [
        (".csv", "*/*", True),
        (".csv", "application/json", True),
        ("", "text/csv", True),
        ("", "text/csv, application/json;q=0.5", True),
        ("", "*/*", False),
        ("", "application/json", False),
        ("", "text/html", False),
        ("", "nonsense", False),
    ],
)
def test_metrics_as_csv(trained: Trained, suffix: str, accept: str, is_csv: bool) -> None:
    path = f"/api/runs/{trained.run_id}/metrics"
    answer = trained.client.get(path + suffix, headers={"Accept": accept})
    assert answer.status_code == 200
    assert answer.mimetype == ("text/csv" if is_csv else "application/json")
    if is_csv:
        rows = list(csv.DictReader(io.StringIO(answer.text)))
        metrics = trained.client.get(path).json["metrics"]
        assert rows == [{name: str(value) for name, value in metric.items()} for metric in metrics]
        assert [float(row["val_loss"]) for row in rows] == [metric["val_loss"] for metric in metrics]


def test_csv_of_a_run_without_metrics_is_its_header(app: Flask, held: threading.Event) -> None:
    client = app.test_client()
    run_id = client.post("/api/train", json=BODY).json["run_id"]
    assert client.get(f"/api/runs/{run_id}/metrics.csv").text.startswith("id,run_id,epoch,train_loss")
    assert client.get(f"/api/runs/{run_id}/metrics.csv").text.count("\n") == 1


MEASURED = {
    **PARAMS,
    "metrics": [
        "accuracy",
        "f1",
        "confusion_matrix",
        "auroc",
        "ece",
        "rmse",
        "r2",
        {"type": "top_k", "k": 3},
        {"type": "worst", "samples": 5},
    ],
    "log_every": 4,
}
NUMBERS = ("accuracy", "f1", "auroc", "expected_calibration_error", "rmse", "r2", "top_3")


@pytest.fixture(scope="module")
def measured(client: FlaskClient) -> Iterator[str]:
    """A succeeded run with metrics and steps, beside the one without; others find that one alone."""
    body = {**BODY, "name": "measured", "hyperparams": MEASURED}
    run_id: str = client.post("/api/train", json=body).json["run_id"]
    assert finish(client, run_id)["state"] == "succeeded"
    yield run_id
    assert client.delete(f"/api/runs/{run_id}?with_model=true").status_code == 200


def test_asked_metrics_are_told_of_every_epoch_and_of_the_test(client: FlaskClient, measured: str) -> None:
    record = client.get(f"/api/runs/{measured}").json
    for epoch in record["metrics"]:
        told = epoch["metrics"]
        assert told["accuracy"] == epoch["val_accuracy"] and set(NUMBERS) < told.keys()
        assert sum(map(sum, told["confusion_matrix"])) == 30 and len(told["f1_per_class"]) == 10
    tested = record["test_metrics"]
    assert tested["accuracy"] == record["test_accuracy"] and sum(map(sum, tested["confusion_matrix"])) == 360
    assert (
        set(record["baseline_accuracy"]) == {"validation", "test"} and 0.1 < record["baseline_accuracy"]["test"] < 0.2
    )
    assert 0 < len(record["worst"]) <= 5 and all(each["label"] != each["prediction"] for each in record["worst"])
    sure = [each["confidence"] for each in record["worst"]]
    assert sure == sorted(sure, reverse=True) and len(record["worst"][0]["grid"]) == 28
    assert record["worst"] == events_of(client, measured)[-1][1]["worst"]
    listed = {run["run_id"]: run for run in client.get("/api/runs").json["runs"]}
    assert "worst" not in listed[measured] and listed[measured]["test_metrics"] == tested


def test_a_run_that_asks_for_nothing_has_the_baseline_alone(trained: Trained, measured: str) -> None:
    """And the same results as with metrics, to the bit."""
    plain, asked = (trained.client.get(f"/api/runs/{each}").json for each in (trained.run_id, measured))
    assert plain["test_metrics"] is None and plain["worst"] is None
    assert plain["baseline_accuracy"] == asked["baseline_accuracy"]
    for name in ("test_accuracy", "test_loss", "weights_sha256", "sample_predictions"):
        assert plain[name] == asked[name], name
    assert all("metrics" not in epoch for epoch in plain["metrics"])


def test_steps_are_kept_and_told_between_epochs(client: FlaskClient, measured: str) -> None:
    events = events_of(client, measured)
    hold_against_the_document(events)
    steps = [data for name, data in events if name == "step"]
    assert [(each["epoch"], each["step"]) for each in steps] == [(1, 4), (1, 8), (2, 12), (2, 16)]
    assert all(each["learning_rate"] == 0.01 and each["loss"] > 0 and each["run_id"] == measured for each in steps)
    names = [name for name, _ in events if name in ("step", "metric")]
    assert names == ["step", "step", "metric", "step", "step", "metric"]
    only = client.get(f"/api/runs/{measured}/events?events=step").text
    assert only.count("event: step") == 4 and "event: metric" not in only


def test_metrics_have_columns(client: FlaskClient, measured: str) -> None:
    record = client.get(f"/api/runs/{measured}").json
    rows = list(csv.DictReader(io.StringIO(client.get(f"/api/runs/{measured}/metrics.csv").text)))
    assert [float(row["val_f1"]) for row in rows] == [epoch["metrics"]["f1"] for epoch in record["metrics"]]
    assert json.loads(rows[0]["val_confusion_matrix"]) == record["metrics"][0]["metrics"]["confusion_matrix"]
    table = {row["run_id"]: row for row in csv.DictReader(io.StringIO(client.get("/api/runs.csv").text))}
    best = max(epoch["metrics"]["f1"] for epoch in record["metrics"])
    least = min(epoch["metrics"]["rmse"] for epoch in record["metrics"])
    assert float(table[measured]["val_f1"]) == best and float(table[measured]["val_rmse"]) == least
    assert float(table[measured]["last.val_auroc"]) == record["metrics"][-1]["metrics"]["auroc"]
    assert float(table[measured]["test_top_3"]) == record["test_metrics"]["top_3"]


@pytest.mark.parametrize("name", ["val_f1", "last.val_top_3", "test_auroc", "test_f1"])
def test_runs_are_sorted_by_metrics(trained: Trained, measured: str, name: str) -> None:
    for way in ("", "-"):
        listed = trained.client.get(f"/api/runs?sort={way}{name}").json["runs"]
        assert [run["run_id"] for run in listed].index(measured) < [run["run_id"] for run in listed].index(
            trained.run_id
        )
    wrong = trained.client.get("/api/runs?sort=val_f11")
    assert wrong.status_code == 400 and wrong.json["errors"][0]["suggestion"] == "val_f1"


def test_metrics_stand_side_by_side(trained: Trained, measured: str) -> None:
    runs = f"runs={measured},{trained.run_id}"
    found, record = trained.client.get(f"/api/compare?{runs}").json, trained.client.get(f"/api/runs/{measured}").json
    first, last = (epoch["metrics"]["f1"] for epoch in record["metrics"])
    assert found["metrics"]["val_f1"] == {"1": [first, None], "2": [last, None]}
    assert found["best"]["val_f1"][0]["value"] == max(first, last) and found["best"]["val_f1"][1] is None
    assert found["last"]["val_f1"] == [{"epoch": 2, "value": last}, None]
    assert found["runs"][0]["test_metrics"] == record["test_metrics"] and found["runs"][1]["test_metrics"] is None
    rows = list(csv.DictReader(io.StringIO(trained.client.get(f"/api/compare.csv?{runs}").text)))
    assert float(rows[1][f"val_f1 {measured}"]) == last and rows[1][f"val_f1 {trained.run_id}"] == ""


def test_commands_show_metrics_and_steps(trained: Trained, measured: str, capsys: pytest.CaptureFixture[str]) -> None:
    record = trained.client.get(f"/api/runs/{measured}").json

    def said(*words: str) -> str:
        assert main(["--url", url, *words]) == 0
        return capsys.readouterr().out

    with serving(trained.app) as url:
        shown, f1 = said("show", measured), f"{record['metrics'][-1]['metrics']['f1']:.4g}"
        for part in ("test metrics", "most frequent class", "auroc", "expected_calibration_error", f1):
            assert part in shown
        told = said("logs", measured).splitlines()
        assert [line.split()[1] for line in told if line.startswith("step")] == ["4", "8", "12", "16"]
        assert any(line.startswith("epoch") and f"f1 {f1}" in line for line in told)
        side_by_side = said("compare", measured, trained.run_id)
        assert "test f1" in side_by_side and f"{record['test_metrics']['f1']:.4g}" in side_by_side
        assert "test_f1" in said("runs", "--sort", "-test_f1").splitlines()[0]


@pytest.mark.parametrize(
    ("metrics", "pointer", "suggestion"),
    [
        (["f1", "f2_score"], "/hyperparams/metrics/1", None),
        (["auroc", {"type": "acuracy"}], "/hyperparams/metrics/1/type", "accuracy"),
        ([{"type": "top_k", "k": 11}], "/hyperparams/metrics/0/k", None),
        ("f1", "/hyperparams/metrics", None),
    ],
)
def test_what_is_wrong_with_metrics(client: FlaskClient, metrics: object, pointer: str, suggestion: str | None) -> None:
    answer = client.post("/api/train", json={**BODY, "hyperparams": {**PARAMS, "metrics": metrics}})
    assert answer.status_code == 400, answer.json
    problem = answer.json["errors"][0]
    assert problem["pointer"] == pointer and (suggestion is None or problem["suggestion"] == suggestion)


@pytest.mark.slow
def test_a_run_that_is_cut_off_tells_of_each_step_once(app: Flask) -> None:
    """Those of the epoch that was under way, too, which is trained again."""
    client = app.test_client()
    body = {**BODY, "hyperparams": {**PARAMS, "epochs": 2000, "log_every": 1}}
    accepted = client.post("/api/train", json=body).json
    run_id, doubts = accepted["run_id"], [doubt["rule"] for doubt in accepted["doubts"]]
    assert doubts == ["log_every"] and any("one step in 9 is told of" in said for said in accepted["warnings"])
    for wanted in (4, 9):  # the history is told from its beginning
        count = [0]

        def heard(name: str, data: object, count: list[int] = count, wanted: int = wanted) -> None:
            count[0] += name == "step"
            if name == "progress" and count[0] >= wanted:
                client.post(f"/api/runs/{run_id}/cancel")

        told = events_of(client, run_id, heard)
        if wanted == 4:
            assert client.post(f"/api/runs/{run_id}/resume").status_code == 202
    steps = [data["step"] for name, data in told if name == "step"]
    assert len(steps) >= 9 and steps == [9 * (at + 1) for at in range(len(steps))]
    assert client.get(f"/api/runs/{run_id}/events?events=log").text.count("one step in 9 is told of") == 1
