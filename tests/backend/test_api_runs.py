"""/api/runs: lists, records, metrics, and the event stream as the application gives it."""

from __future__ import annotations

import csv
import io
import json
import threading
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from nets.errors import DataError
from tests.backend.conftest import BODY, NET, Trained, finish, offline_app, parts, wait_running
from tests.backend.samples import read_frame

METRIC = {
    *("run_id", "epoch", "train_loss", "val_loss", "train_accuracy", "val_accuracy", "learning_rate", "epoch_time"),
    *("samples_per_sec", "progress", "eta_seconds"),
}


@pytest.fixture(scope="module")
def client(trained: Trained) -> FlaskClient:
    return trained.client


def events(text: bytes) -> list[tuple[int | None, str, dict[str, Any]]]:
    return [read_frame(frame + b"\n\n") for frame in text.split(b"\n\n") if frame]


def test_runs_are_listed_newest_first_and_filtered(app: Flask, held: threading.Event) -> None:
    client = app.test_client()
    started = [client.post("/api/train", json={**BODY, "queue": True}).json for _ in range(3)]
    ids = [run["run_id"] for run in started]
    wait_running(client, ids[0])

    def listed(query: str) -> list[str]:
        return [run["run_id"] for run in client.get(f"/api/runs{query}").json["runs"]]

    assert listed("") == ids[::-1]
    assert listed("?limit=2") == [ids[2], ids[1]]
    assert listed("?state=queued") == [ids[2], ids[1]] and listed("?state=running") == [ids[0]]
    assert listed(f"?model_id={started[1]['model_id']}") == [ids[1]]
    assert listed(f"?model_id={started[1]['model_id']}&state=running") == listed("?model_id=nope") == []


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("state=done", 'state: must be one of queued, running, succeeded, failed, cancelled, got "done"'),
        ("state=", "state: must be one of"),
        ("limit=0", 'limit: must be a whole number from 1 to 10000, got "0"'),
        ("limit=-1", "limit: must be a whole number"),
        ("limit=ten", "limit: must be a whole number"),
        ("limit=1.0", "limit: must be a whole number"),
        ("limit=%D9%A3", "limit: must be a whole number"),
        ("limit=" + "9" * 5000, "limit: must be a whole number"),
        ("limit=1&limit=2", "limit came 2 times"),
        ("before=0", "before: must be a whole number"),
        ("before=r_1", "before: must be a whole number"),
        ("include=metric", "include: must be one or more of metrics, sample_predictions, architecture"),
        ("include=", "include: must be one or more of"),
        ("stat=queued", "Did you mean 'state'?"),
    ],
)
def test_bad_filters_are_a_400(client: FlaskClient, query: str, message: str) -> None:
    answer = client.get(f"/api/runs?{query}")
    assert answer.status_code == 400 and message in answer.json["error"], answer.json


def test_a_run_tells_everything_about_itself(trained: Trained) -> None:
    run = trained.client.get(f"/api/runs/{trained.run_id}").json
    assert run["state"] == "succeeded" and run["model_id"] == trained.model_id and run["error"] is None
    assert run["architecture"] == NET and run["hyperparams"]["batch_size"] == 32 and run["hyperparams"]["seed"] == 42
    assert run["dataset_type"] == "digits" and run["precision"] == "float32" and run["compile_seconds"] >= 0
    assert len(run["weights_sha256"]) == 64 and {"jax", "flax", "optax", "lamina"} <= run["versions"].keys()
    assert run["created_at"] <= run["started_at"] <= run["completed_at"] and run["device"]
    assert [metric.keys() for metric in run["metrics"]] == [METRIC] * 2
    assert all(
        type(value) in (int, float) for metric in run["metrics"] for name, value in metric.items() if name != "run_id"
    )


def test_unknown_runs_are_a_404(client: FlaskClient) -> None:
    for path in ("", "/metrics", "/metrics.csv", "/events"):
        answer = client.get(f"/api/runs/r_nope{path}")
        assert answer.status_code == 404 and "There is no run 'r_nope'" in answer.json["error"]


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


def test_the_history_of_a_finished_run_is_replayed(trained: Trained) -> None:
    answer = trained.client.get(f"/api/runs/{trained.run_id}/events")
    assert answer.status_code == 200 and answer.headers["Content-Type"].startswith("text/event-stream")
    assert answer.headers["Cache-Control"] == "no-cache, no-transform" and answer.headers["X-Accel-Buffering"] == "no"
    told = events(answer.data)
    assert told[0][1] == "retry" and [event[0] for event in told[1:]] == list(range(1, len(told)))
    states = [data for _, name, data in told if name == "state"]
    assert [data["state"] for data in states] == ["queued", "running", "succeeded"]
    assert all(data.keys() >= {"run_id", "state", "error", "test_accuracy", "sample_predictions"} for data in states)
    assert [data["epoch"] for _, name, data in told if name == "metric"] == [1, 2]
    last = told[-1][2]
    assert last["state"] == "succeeded" and 0 <= last["test_accuracy"] <= 1 and len(last["sample_predictions"]) == 8
    for sample in last["sample_predictions"]:
        assert len(sample["grid"]) == 28 and {len(row) for row in sample["grid"]} == {28}
        assert all(type(value) is int and 0 <= value <= 255 for row in sample["grid"] for value in row)
        assert type(sample["label"]) is type(sample["prediction"]) is int and 0 <= sample["confidence"] <= 1


def test_a_reader_that_comes_back_gets_the_rest_and_then_204(trained: Trained) -> None:
    path = f"/api/runs/{trained.run_id}/events"
    last = events(trained.client.get(path).data)[-1][0]
    assert last is not None
    rest = events(trained.client.get(path, headers={"Last-Event-ID": str(last - 1)}).data)
    assert [event[0] for event in rest] == [None, last]
    done = trained.client.get(path, headers={"Last-Event-ID": str(last)})
    assert (done.status_code, done.data) == (204, b"")
    for odd in ("x", "-1", "", "1.5", "9" * 40):
        told = events(trained.client.get(path, headers={"Last-Event-ID": odd}).data)
        assert len(told) == last + 1, "an id that is none of ours replays everything"


@pytest.mark.parametrize("name", ["lastEventId", "last_event_id"])
def test_the_last_event_id_may_come_in_the_query(trained: Trained, name: str) -> None:
    path = f"/api/runs/{trained.run_id}/events"
    last = events(trained.client.get(path).data)[-1][0]
    assert last is not None
    assert events(trained.client.get(f"{path}?{name}={last - 1}").data)[-1][0] == last
    assert trained.client.get(f"{path}?{name}={last}").status_code == 204
    for header, query, status in ((last, 1, 204), (1, last, 200), ("none of ours", last, 204), ("", last, 204)):
        answer = trained.client.get(f"{path}?{name}={query}", headers={"Last-Event-ID": str(header)})
        assert answer.status_code == status, (header, query)
    for odd in ("", "-1", "x", "1.5", "9" * 40):
        assert events(trained.client.get(f"{path}?{name}={odd}").data)[1][0] == 1


def test_the_head_of_a_stream_does_not_hang(app: Flask, held: threading.Event) -> None:
    client = app.test_client()
    run_id = client.post("/api/train", json=BODY).json["run_id"]
    answer = client.head(f"/api/runs/{run_id}/events")
    assert answer.status_code == 200 and answer.mimetype == "text/event-stream" and answer.data == b""


def test_streams_are_bounded_and_their_places_come_back(
    tmp_path_factory: pytest.TempPathFactory, held: threading.Event
) -> None:
    app = offline_app(tmp_path_factory.mktemp("streams"), max_streams=2)
    client = app.test_client()
    run_id = client.post("/api/train", json=BODY).json["run_id"]
    path = f"/api/runs/{run_id}/events"
    first, second = client.get(path), client.get(path)
    refused = client.get(path)
    assert refused.status_code == 503 and "All 2 event streams are in use" in refused.json["error"]
    assert client.get("/api/health").status_code == 200
    first.close()
    again = client.get(path)
    assert again.status_code == 200
    assert next(iter(again.response)) == b"retry: 3000\n\n"
    again.close()
    second.close()
    assert client.get(path).status_code == 200
    parts(app).close()


def test_a_cancelled_and_a_failed_run_end_their_streams(app: Flask, held: threading.Event) -> None:
    client = app.test_client()
    run_id = client.post("/api/train", json=BODY).json["run_id"]
    wait_running(client, run_id)
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(client.get(f"/api/runs/{run_id}/events").data))
    reader.start()
    client.post(f"/api/train/{run_id}/cancel")
    reader.join(20)
    assert [data["state"] for _, name, data in events(received[0]) if name == "state"][-1] == "cancelled"

    run_id = client.post("/api/train", json=BODY).json["run_id"]
    wait_running(client, run_id)
    held.set()  # this training then ends without a result: an internal error
    record = finish(client, run_id)
    assert record["state"] == "failed" and "Traceback" not in record["error"]
    last = events(client.get(f"/api/runs/{run_id}/events").data)[-1][2]
    assert (last["state"], last["error"]) == ("failed", record["error"])


def test_a_run_whose_named_data_set_cannot_be_had_fails_with_the_cure(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(name: str, *_: object, **__: object) -> None:
        raise DataError(f"{name} cannot be fetched: no network. Run `lamina datasets prepare {name}` elsewhere")

    monkeypatch.setattr("backend.training.executor.fetch", unreachable)
    client = app.test_client()
    accepted = client.post("/api/train", json={**BODY, "hyperparams": {"dataset_type": "mnist"}})
    assert accepted.status_code == 202, "the data set is not asked for before the run starts"
    record = finish(client, accepted.json["run_id"])
    assert record["state"] == "failed" and "lamina datasets prepare mnist" in record["error"]
    assert record["dataset_type"] == "mnist"


def test_json_answers_hold_no_nan(trained: Trained) -> None:
    for path in ("/api/models", "/api/runs", f"/api/runs/{trained.run_id}", "/api/health", "/api/datasets"):
        json.loads(trained.client.get(path).data, parse_constant=lambda token: pytest.fail(token))
