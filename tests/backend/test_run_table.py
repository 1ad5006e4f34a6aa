"""Runs as a table: what is in its cells, in which columns, and that no spreadsheet takes text for a formula."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from backend.events.wire import state_data
from backend.state.selection import SORTS, Selection
from backend.state.summary import METRICS
from backend.web import run_table
from backend.web.run_table import FIELDS, OBJECTS, cell, columns_of, row, runs_csv
from nets.hyperparams.hyperparams import parse_hyperparams
from tests.backend.conftest import Trained, parts
from tests.backend.samples import a_run, add_run


def table(client: FlaskClient, query: str = "") -> list[dict[str, str]]:
    answer = client.get(f"/api/runs.csv{query}")
    assert answer.status_code == 200 and answer.mimetype == "text/csv", answer.data
    assert answer.headers["Content-Disposition"] == 'attachment; filename="runs.csv"'
    return list(csv.DictReader(io.StringIO(answer.text, newline=""), strict=True))


def test_a_row_has_what_the_record_tells(trained: Trained) -> None:
    record = trained.client.get(f"/api/runs/{trained.run_id}").json
    [cells] = table(trained.client)
    for name in ("run_id", "name", "model_id", "dataset_type", "state", "device", "precision", "kernels", "created_at"):
        assert cells[name] == record[name]
    for name in ("test_accuracy", "test_loss", "compile_seconds", "seconds", "epoch", "epochs_total", "parameters"):
        assert float(cells[name]) == record[name]
    assert int(cells["parameters"]) == 784 * 16 + 16 + 16 * 10 + 10 and record["seconds"] > 0
    assert {name: float(cells[f"best.{name}"]) for name in record["best"]} == record["best"]
    last = record["metrics"][-1]
    assert {name: float(cells[f"last.{name}"]) for name in METRICS} == {name: last[name] for name in METRICS}
    for name, best in (("val_accuracy", max), ("train_loss", min)):
        assert float(cells[name]) == best(metric[name] for metric in record["metrics"])
    assert SORTS.keys() <= cells.keys()
    assert float(cells["hyperparams.optimizer.lr"]) == 0.01 and cells["hyperparams.optimizer.type"] == "adam"
    assert cells["hyperparams.shuffle"] == "true" and cells["hyperparams.seed"] == "42"
    assert cells["hyperparams.optimizer.betas"] == "[0.9, 0.999]"
    assert cells["versions.jax"] == record["versions"]["jax"]
    assert (cells["tags"], cells["notes"], cells["error"], cells["resumed_from"]) == ("", "", "", "")
    assert not {"architecture", "sample_predictions", "metrics", "hyperparams", "versions"} & cells.keys()


def test_columns_are_those_of_all_runs_in_one_order(client: FlaskClient) -> None:
    optimizers: list[dict[str, Any]] = [{"type": "sgd", "momentum": 0.5}, {"type": "adam"}, {"type": "rmsprop"}]
    runs = [
        a_run(f"r_{each['type']}", hyperparams=parse_hyperparams({"optimizer": each}).to_json()) for each in optimizers
    ]
    columns = columns_of(map(row, runs))
    assert columns == columns_of(map(row, reversed(runs))) and len(set(columns)) == len(columns)
    assert columns[:5] == ["run_id", "name", "tags", "notes", "model_id"]
    assert [name.partition(".")[0] for name in columns] == sorted(
        (name.partition(".")[0] for name in columns), key=FIELDS.index
    )
    named = [name.removeprefix("hyperparams.") for name in columns if name.startswith("hyperparams.")]
    assert [name for name in named if name != "accumulate"][:3] == ["epochs", "batch_size", "optimizer.alpha"]
    assert {"optimizer.momentum", "optimizer.alpha", "optimizer.nesterov", "precision"} < set(named)
    assert columns_of([]) == [name for name in columns if name.partition(".")[0] not in OBJECTS]
    assert table(client) == []


def test_text_is_no_formula(app: Flask) -> None:
    store, client = parts(app).store, app.test_client()
    hostile = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "\uff1d1", '=HYPERLINK("x";"y")']
    for number, text in enumerate(hostile):
        add_run(store, f"r_{number}", name=f"{text}.", notes=text, tags=[text.strip(), "b"])
    plain = ['a "quoted", name', "it's", "a=b", "2 - 1", "line\r\nbreak"]
    for number, text in enumerate(plain):
        add_run(store, f"r_plain_{number}", name=text, notes=text, test_loss=-0.5)
    rows = {cells["run_id"]: cells for cells in table(client)}
    for number, text in enumerate(hostile):
        cells = rows[f"r_{number}"]
        assert (cells["name"], cells["notes"], cells["tags"]) == (f"'{text}.", f"'{text}", f"'{text.strip()},b")
    for number, text in enumerate(plain):
        assert (rows[f"r_plain_{number}"]["name"], rows[f"r_plain_{number}"]["notes"]) == (text, text)
        assert rows[f"r_plain_{number}"]["test_loss"] == "-0.5"
    assert b'"a ""quoted"", name"' in client.get("/api/runs.csv").data
    assert [cell(value) for value in (None, [], True, -1, 0.5, ["-a"])] == ["", "", "true", -1, 0.5, '["-a"]']


def test_a_table_is_filtered_sorted_and_streamed(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_table, "PIECE", 100)
    store, client = parts(app).store, app.test_client()
    for number in range(20):
        add_run(
            store,
            f"r_{number:03d}",
            name="x" * 200,
            notes="y" * 200,
            tags=["odd"] if number % 2 else [],
            test_accuracy=number / 25,
        )
    store.transition("r_001", "failed", data=state_data("r_001", "failed"))
    rows = table(client)
    assert [cells["run_id"] for cells in rows] == [f"r_{number:03d}" for number in reversed(range(20))]
    answer = client.get("/api/runs.csv")
    assert answer.is_streamed and all(answer.iter_encoded())
    best = table(client, "?tag=odd&sort=-test_accuracy&limit=2&state=queued,failed")
    assert [cells["run_id"] for cells in best] == ["r_019", "r_017"]
    assert [cells["run_id"] for cells in table(client, "?state=failed")] == ["r_001"]
    assert client.get("/api/runs.csv?include=metrics").status_code == 400
    assert client.head("/api/runs.csv").status_code == 200


def test_runs_deleted_meanwhile_are_left_out(app: Flask) -> None:
    store = parts(app).store
    for number in range(3):
        add_run(store, f"r_{number}", state="failed")
    with app.test_request_context():
        answer = runs_csv(store, Selection(), limit=None)
    store.delete_run("r_1")
    assert [line.partition(",")[0] for line in answer.get_data(as_text=True).splitlines()] == ["run_id", "r_2", "r_0"]
