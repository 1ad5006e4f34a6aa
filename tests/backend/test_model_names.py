"""Names for models whose users gave none."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask
from flask.testing import FlaskClient

from backend.actions.model_names import model_name
from tests.backend.conftest import BODY, NET

WAITING = {**BODY, "queue": True}


@pytest.mark.usefixtures("held")
def test_a_model_is_called_as_what_it_is_and_numbered_where_that_repeats(client: FlaskClient) -> None:
    started = [client.post("/api/train", json=WAITING).json for _ in range(3)]
    names = ["MLP 16-10 on digits", "MLP 16-10 on digits #2", "MLP 16-10 on digits #3"]
    assert [each["name"] for each in started] == [each["model_name"] for each in started] == names
    assert [model["name"] for model in client.get("/api/models").json] == names[::-1]
    defined = [client.post("/api/models", json={"architecture": NET}).json["name"] for _ in range(2)]
    assert defined == ["MLP 16-10", "MLP 16-10 #2"]
    kept = client.post("/api/models", json={"name": "MLP 16-10"}).json  # one that a client chose
    assert kept["name"] == "MLP 16-10"
    emptied = client.patch(f"/api/models/{kept['model_id']}", json={"name": None, "architecture": NET}).json
    assert emptied["name"] == "MLP 16-10 #3"


def test_names_that_are_made_at_the_same_time_differ(app: Flask, held: threading.Event) -> None:
    with ThreadPoolExecutor(8) as threads:
        bodies = [WAITING] * 16
        started = list(threads.map(lambda body: app.test_client().post("/api/train", json=body).json, bodies))
    assert len({each["model_name"] for each in started}) == len({each["name"] for each in started}) == 16
    held.set()


def test_a_long_name_leaves_room_for_a_number() -> None:
    assert len(model_name("CNN " + "128-" * 100, "a" * 20)) <= 190
