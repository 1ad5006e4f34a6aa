"""The data set of a run whose request names none."""

from __future__ import annotations

import threading
from pathlib import Path

from flask import Flask

from backend.demo.example import EXAMPLE
from tests.backend.conftest import BODY, offline_app, parts


def test_without_a_data_set_the_server_chooses_and_says_why(app: Flask, held: threading.Event) -> None:
    client = app.test_client()
    answer = client.post("/api/train", json={**BODY, "hyperparams": None}).json
    assert answer["dataset_type"] == "digits"
    [warning] = answer["warnings"]
    assert "digits" in warning and "mnist is out of reach" in warning
    assert client.get(f"/api/runs/{answer['run_id']}").json["warnings"] == [warning]
    assert client.get(f"/api/models/{answer['model_id']}").json["hyperparams"] is None


def test_mnist_is_the_first_choice(held: threading.Event, tmp_path: Path) -> None:
    asked = []

    def available(name: str, data_dir: Path) -> tuple[bool, str]:
        asked.append((name, data_dir))
        return True, "cached"

    app = offline_app(tmp_path, available=available)
    client = app.test_client()
    body = {**EXAMPLE, "queue": True}
    first, second = client.post("/api/train", json=body).json, client.post("/api/train", json=body).json
    assert first["dataset_type"] == second["dataset_type"] == "mnist" and first["warnings"] == []
    assert asked == [("mnist", tmp_path / "data")], "the answer is kept for a while"
    parts(app).close()
