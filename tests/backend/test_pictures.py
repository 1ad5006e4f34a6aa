"""Pictures of runs over HTTP: what they show, who is told that nothing has changed, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from backend.actions.pictures import KEPT, Easel, Picture, course_of
from backend.client import Unusable
from backend.commands.pictures import save
from backend.errors import ApiError
from tests.backend.conftest import parts
from tests.backend.test_compare import add, metric


@pytest.fixture
def client(app: Flask) -> Iterator[FlaskClient]:
    yield app.test_client()


def test_a_run_is_drawn_and_told_unchanged_until_it_changes(client: FlaskClient, app: Flask) -> None:
    store = parts(app).store
    add(store, "r_a", [3, 1, 2], name="first <b>")
    answer = client.get("/api/runs/r_a/curves.svg")
    assert answer.status_code == 200 and answer.mimetype == "image/svg+xml"
    assert answer.headers["Cache-Control"] == "private, no-cache"
    assert "best epoch: 2" in answer.text and "first &lt;b&gt;" in answer.text
    tag = answer.headers["ETag"]
    again = client.get("/api/runs/r_a/curves.svg", headers={"If-None-Match": tag})
    assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", tag)
    assert client.get("/api/runs/r_a/curves.svg?theme=dark").headers["ETag"] != tag
    store.append_event("r_a", "metric", metric("r_a", 4, 0.5), epoch=4)
    changed = client.get("/api/runs/r_a/curves.svg", headers={"If-None-Match": tag})
    assert changed.status_code == 200 and "best epoch: 4" in changed.text


def test_runs_are_drawn_side_by_side(client: FlaskClient, app: Flask) -> None:
    store = parts(app).store
    add(store, "r_a", [3, 1, 2], name="first")
    add(store, "r_b", [], name="second")
    answer = client.get("/api/compare.svg?runs=r_a,r_b&x=seconds&metrics=val_accuracy,train_loss&width=400&height=700")
    assert answer.status_code == 200 and 'width="400" height="700"' in answer.text
    for text in (
        "first",
        "second (no epoch yet)",
        "training loss (nats)",
        "validation accuracy (%)",
        "compilation (s)",
    ):
        assert f"{text}<" in answer.text


def test_metrics_that_runs_were_asked_for_are_drawn_by_name(client: FlaskClient, app: Flask) -> None:
    store = parts(app).store
    add(store, "r_a", [], name="first")
    add(store, "r_b", [2, 1], name="without")
    asked = {"f1": 0.25, "top_3": 0.5, "f1_per_class": [0.0, 0.5]}
    store.append_event("r_a", "metric", {**metric("r_a", 1, 0.5), "metrics": asked}, epoch=1)
    assert course_of(store, store.get_run("r_a"), timed=False).metrics["val_f1"] == [0.25]
    answer = client.get("/api/compare.svg?runs=r_a,r_b&metrics=val_top_3,val_loss,val_f1")
    assert answer.status_code == 200, answer.text
    for text in ("validation f1 (number)", "validation top 3 (number)", "validation loss (nats)", "without"):
        assert f"{text}<" in answer.text
    refused = client.get("/api/compare.svg?runs=r_a,r_b&metrics=val_f7")
    assert refused.status_code == 400 and "Did you mean 'val_f1'?" in refused.json["error"]


def test_seconds_are_the_sum_of_all_epochs_up_to_each(app: Flask) -> None:
    store = parts(app).store
    add(store, "r_a", [1.0] * 300, logs=7)
    store.append_event("r_a", "metric", {**metric("r_a", 301, 1.0), "epoch_time": 0.5}, epoch=301)
    assert store.seconds_at("r_a", [1, 200, 301, 999]) == {1: 2.0, 200: 400.0, 301: 600.5}


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/api/runs/r_none/curves.svg", 404, "There is no run 'r_none'; GET /api/runs"),
        ("/api/runs/r_a/curves.svg?theme=drak", 400, "theme: must be one of auto, light, dark, got 'drak'"),
        ("/api/runs/r_a/curves.svg?x=step", 400, "x: must be one of epoch, seconds"),
        ("/api/runs/r_a/curves.svg?width=20", 400, "width: must be a whole number from 300 to 2400, got '20'"),
        ("/api/runs/r_a/curves.svg?metrics=val_loss", 400, "not a query parameter of this endpoint"),
        ("/api/compare.svg?runs=r_a", 400, "runs: must be the ids of 2 to 50 runs"),
        ("/api/compare.svg?runs=r_a,r_none", 404, "There is no run 'r_none'"),
        ("/api/compare.svg?runs=r_a,r_b&metrics=loss", 400, "metrics: must be one or more of train_loss"),
    ],
)
def test_what_cannot_be_drawn_is_refused(client: FlaskClient, app: Flask, path: str, status: int, words: str) -> None:
    add(parts(app).store, "r_a", [])
    add(parts(app).store, "r_b", [])
    answer = client.get(path)
    assert answer.status_code == status and words.replace("'", '"') in answer.json["error"].replace("'", '"')


def test_the_newest_pictures_are_kept_and_one_is_drawn_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    easel, drawn = Easel(), []

    def picture(tag: str) -> Picture:
        return Picture("a", tag, lambda: drawn.append(tag) or tag)

    for number in range(KEPT + 1):
        easel.drawn(picture(str(number)))
    assert easel.drawn(picture(str(KEPT))) == str(KEPT) and len(drawn) == KEPT + 1
    easel.drawn(picture("0"))
    assert drawn[-1] == "0", "the oldest was dropped"
    monkeypatch.setattr("backend.actions.pictures.PATIENCE", 0.01)
    with pytest.raises(ApiError, match="try again later") as refused:
        easel.drawn(Picture("a", "slow", lambda: easel.drawn(picture("other"))))
    assert refused.value.status == 503
    assert easel.drawn(picture("after")) == "after"


def test_a_picture_is_written_to_a_file(tmp_path: Path, capsys: Any) -> None:
    save(str(tmp_path / "a.svg"), "<svg/>", as_json=True)
    save("-", "<svg/>", as_json=False)
    assert (tmp_path / "a.svg").read_text() == "<svg/>" and capsys.readouterr().out.endswith('"bytes": 6}\n<svg/>')
    with pytest.raises(Unusable, match="name another file with --svg"):
        save(str(tmp_path), "<svg/>", as_json=False)
