"""Lists come in pages, and whatever is long is bounded."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

import backend.web.metrics
import backend.web.pages
from backend.state.curve import SHOWN
from backend.state.records import DETAILS, Json
from backend.state.store import Store
from backend.state.upgrade import upgrade
from tests.backend.conftest import parts
from tests.backend.samples import a_model, add_run

LONG = 1000  # epochs
BEST_LOSS, BEST_ACCURACY = 333, 777


def add_metrics(store: Store, run_id: str, losses: list[float], accuracies: list[float]) -> None:
    for epoch, (loss, accuracy) in enumerate(zip(losses, accuracies, strict=True), start=1):
        data = {"run_id": run_id, "epoch": epoch, "val_loss": loss, "val_accuracy": accuracy, "epoch_time": 0.5}
        store.append_event(run_id, "metric", data, epoch=epoch)
        if epoch % 10 == 0:
            store.append_event(run_id, "log", {"run_id": run_id, "level": "info", "message": "x"})


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with one run of many epochs, which ended."""
    path = tmp_path_factory.mktemp("long") / "lamina.sqlite3"
    store = Store(path)
    add_run(store, "r_long", epochs_total=LONG)
    losses = [0.1 if epoch == BEST_LOSS else 1.0 for epoch in range(1, LONG + 1)]
    accuracies = [0.9 if epoch in (BEST_ACCURACY, LONG) else 0.5 for epoch in range(1, LONG + 1)]
    store.transition("r_long", "running", data={})
    add_metrics(store, "r_long", losses, accuracies)
    store.transition("r_long", "succeeded", data={})
    store.close()
    return path


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def store(app: Flask) -> Store:
    return parts(app).store


def walk(client: FlaskClient, path: str, key: str) -> list[list[Json]]:
    """All pages of a list."""
    pages: list[list[Json]] = []
    query = ""
    while True:
        answer = client.get(path + query).json
        pages.append(answer[key])
        if answer["next"] is None:
            return pages
        query = f"{'&' if '?' in path else '?'}before={answer['next']}"


def test_every_run_is_on_one_page_whatever_happens_meanwhile(client: FlaskClient, store: Store) -> None:
    for number in range(7):
        add_run(store, f"r_{number}", model_id=f"m_{number % 2}")
        if number % 3 == 0:
            store.transition(f"r_{number}", "cancelled", data={})
    pages = walk(client, "/api/runs?limit=3", "runs")
    assert [[run["run_id"] for run in page] for page in pages] == [
        ["r_6", "r_5", "r_4"],
        ["r_3", "r_2", "r_1"],
        ["r_0"],
    ]
    assert walk(client, "/api/runs?limit=7", "runs") == [sum(pages, [])]
    assert [[run["run_id"] for run in page] for page in walk(client, "/api/runs?model_id=m_0&limit=3", "runs")] == [
        ["r_6", "r_4", "r_2"],
        ["r_0"],
    ]
    both = walk(client, "/api/runs?model_id=m_0&state=cancelled&limit=1", "runs")
    assert [[run["run_id"] for run in page] for page in both] == [["r_6"], ["r_0"]]
    first = client.get("/api/runs?limit=3").json
    store.delete_run("r_6")  # cancelled ones can be
    store.transition("r_4", "cancelled", data={})
    store.delete_run("r_4")  # the one that the cursor came from
    add_run(store, "r_new")
    rest = client.get(f"/api/runs?limit=9&before={first['next']}").json
    assert [run["run_id"] for run in rest["runs"]] == ["r_3", "r_2", "r_1", "r_0"] and rest["next"] is None


def test_a_list_of_runs_is_light_unless_asked(client: FlaskClient, store: Store) -> None:
    add_run(store, "r_1", sample_predictions=[{"grid": [[0]], "label": 1, "prediction": 1, "confidence": 1.0}])
    store.transition("r_1", "running", data={})
    add_metrics(store, "r_1", [0.5], [0.5])
    whole = client.get("/api/runs/r_1").json
    assert set(DETAILS) < whole.keys() and whole["metrics_total"] == 1

    def listed(query: str) -> Json:
        run: Json = client.get(f"/api/runs{query}").json["runs"][0]
        return run

    assert listed("") == {name: value for name, value in whole.items() if name not in DETAILS}
    assert listed(f"?include={','.join(DETAILS)}") == whole
    assert listed("?include=metrics").keys() == whole.keys() - {*DETAILS} | {"metrics"}


def test_models_are_a_bare_array_whose_header_leads_on(client: FlaskClient, store: Store) -> None:
    for number in range(5):
        store.create_model(a_model(f"m_{number}"))
    assert "Link" not in client.get("/api/models?limit=5").headers
    seen: list[str] = []
    path = "/api/models?limit=2"
    while path:
        answer = client.get(path)
        seen += [model["model_id"] for model in answer.json]
        link = answer.headers.get("Link", "")
        assert not link or link.endswith('>; rel="next"')
        path = link.partition(">")[0].lstrip("<")
    assert seen == [f"m_{number}" for number in reversed(range(5))]
    assert client.get("/api/models?limt=2").status_code == 400


def test_a_model_shows_its_newest_runs_and_leads_to_older_ones(client: FlaskClient, store: Store) -> None:
    for number in range(5):
        add_run(store, f"r_{number}")
    add_run(store, "r_other", model_id="m_other")
    model = client.get("/api/models/m_1?limit=2").json
    assert model["runs_total"] == 5 and [run["run_id"] for run in model["runs"]] == ["r_4", "r_3"]
    assert all(set(DETAILS) < run.keys() and run["metrics"] == [] for run in model["runs"])
    pages = walk(client, "/api/models/m_1?limit=2", "runs")
    assert [len(page) for page in pages] == [2, 2, 1]
    assert client.get("/api/models/m_1").json == {**model, "runs": sum(pages, []), "next": None}
    assert client.get("/api/models/m_1?include=metrics").status_code == 400


def test_a_page_ends_before_it_is_too_long(client: FlaskClient, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(6):
        add_run(store, f"r_{number}", warnings=["x" * 2000])
    monkeypatch.setattr(backend.web.pages, "PAGE_BYTES", 7000)
    assert [len(page) for page in walk(client, "/api/runs?limit=10000", "runs")] == [2, 2, 2]
    monkeypatch.setattr(backend.web.pages, "PAGE_BYTES", 1)
    assert [len(page) for page in walk(client, "/api/runs", "runs")] == [1] * 6, "every page has something"


def test_an_unreadable_run_does_not_end_a_list(client: FlaskClient, store: Store) -> None:
    for number in range(5):
        add_run(store, f"r_{number}")
    with store._write() as connection:
        connection.execute("UPDATE runs SET error = 'x' WHERE run_id = 'r_3'")
    assert [[run["run_id"] for run in page] for page in walk(client, "/api/runs?limit=2", "runs")] == [
        ["r_4", "r_2"],
        ["r_1", "r_0"],
    ]


@pytest.fixture
def with_long(tmp_path: Path, long: Path) -> Store:
    """A copy of the long run's store, before an application opens it."""
    state = tmp_path / "state"
    state.mkdir()
    (state / "lamina.sqlite3").write_bytes(long.read_bytes())
    return Store(state / "lamina.sqlite3")


@pytest.mark.usefixtures("with_long")
def test_of_many_metrics_the_first_the_last_and_the_best_are_shown(client: FlaskClient) -> None:
    run = client.get("/api/runs/r_long").json
    epochs = [metric["epoch"] for metric in run["metrics"]]
    assert SHOWN - 5 <= len(epochs) <= SHOWN == 200 and run["metrics_total"] == LONG == run["epoch"]
    assert epochs == sorted(set(epochs)) and (epochs[0], epochs[-1]) == (1, LONG)
    assert {BEST_LOSS, BEST_ACCURACY} < set(epochs)
    assert max(later - earlier for earlier, later in zip(epochs, epochs[1:], strict=False)) <= 7
    [of_model] = client.get("/api/models/m_1").json["runs"]
    assert of_model == run == client.get(f"/api/runs?include={','.join(DETAILS)}").json["runs"][0]


def test_metrics_that_need_no_thinning_are_all_shown(store: Store, client: FlaskClient) -> None:
    add_run(store, "r_1")
    store.transition("r_1", "running", data={})
    add_metrics(store, "r_1", [1.0] * SHOWN, [0.5] * SHOWN)
    assert len(client.get("/api/runs/r_1").json["metrics"]) == SHOWN
    add_metrics(store, "r_1", [1.0], [0.5])
    run = client.get("/api/runs/r_1").json
    assert len(run["metrics"]) <= SHOWN and run["metrics_total"] == SHOWN + 1


@pytest.mark.usefixtures("with_long")
def test_all_metrics_come_piece_by_piece(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = client.get("/api/runs/r_long/metrics")
    assert whole.is_streamed
    assert [metric["epoch"] for metric in whole.json["metrics"]] == list(range(1, LONG + 1))
    assert (whole.json["state"], whole.json["next"]) == ("succeeded", None)
    last = whole.json["last_event_id"]
    rows = list(csv.DictReader(io.StringIO(client.get("/api/runs/r_long/metrics.csv").text)))
    assert [row["epoch"] for row in rows] == [str(epoch) for epoch in range(1, LONG + 1)]
    for piece in (1, 7, 500, 5000):
        monkeypatch.setattr(backend.web.metrics, "PIECE", piece)
        assert client.get("/api/runs/r_long/metrics").json == whole.json

    monkeypatch.setattr(backend.web.metrics, "PIECE", 70)
    for limit in (1, 70, 333, LONG - 1, LONG, LONG + 1):
        told: list[Any] = []
        since, pages = 0, 0
        while True:
            answer = client.get(f"/api/runs/r_long/metrics?since={since}&limit={limit}").json
            assert len(answer["metrics"]) <= limit
            told += answer["metrics"]
            pages += 1
            if answer["next"] is None or limit == 1 and pages == 3:
                break
            since = answer["next"]
            assert since == answer["last_event_id"] == told[-1]["id"]
        assert told == whole.json["metrics"][: 3 if limit == 1 else None] and pages == (
            3 if limit == 1 else -(-LONG // limit)
        )
        assert limit == 1 or answer["last_event_id"] == last
    assert client.get("/api/runs/r_long/metrics.csv?limit=2").text.count("\n") == 3
    assert client.get("/api/runs/r_long/metrics?limit=0").status_code == 400
    beyond = client.get(f"/api/runs/r_long/metrics?since={last + 5}").json
    assert (beyond["metrics"], beyond["last_event_id"], beyond["next"]) == ([], last + 5, None)
    json.dumps(whole.json, allow_nan=False)


def test_a_store_of_before_knows_the_best_of_its_runs(long: Path, tmp_path: Path) -> None:
    """A migration sums up what was kept without sums."""
    copy = tmp_path / "lamina.sqlite3"
    copy.write_bytes(long.read_bytes())
    store = Store(copy)
    before = store.get_run("r_long")
    with store._write() as connection:
        connection.execute("UPDATE runs SET curve = NULL, summary = NULL")
        upgrade(connection, 1)
    assert store.get_run("r_long") == before and before is not None and before.metrics_total == LONG
    store.close()


def test_a_page_leaves_the_moment_of_its_list(store: Store) -> None:
    """What the same thread reads next is what there is by then."""
    for number in range(3):
        add_run(store, f"r_{number}")
    found = store.each_run(details=())
    assert len(backend.web.pages.page(found, lambda run: run.run_id, limit=1).items) == 1
    add_run(store, "r_new")
    assert store.get_run("r_new") is not None
    assert next(found, None) is None
