"""A run's metrics, polled as JSON and CSV."""

from __future__ import annotations

import csv
import io
import threading

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.backend.conftest import BODY, Trained
from tests.backend.samples import METRIC


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
