"""A server inside the test process, one finished run that many tests ask, and runs that wait until they are told."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.serving import WSGIRequestHandler, make_server

from backend.config import Settings
from backend.services import Services, start
from backend.state.deaths import Deaths
from backend.training.default_dataset import DefaultDataset
from backend.web.app import create_app
from nets.training.cache import ProgramCache
from nets.training.events import Progress
from tests.backend.samples import DEADLINE, eventually

LAYERS: list[dict[str, Any]] = [
    {"type": "linear", "in": 784, "out": 16},
    {"type": "relu"},
    {"type": "linear", "in": 16, "out": 10},
    {"type": "softmax"},
]
NET: dict[str, Any] = {"input_size": 784, "input_channels": 1, "input_height": 28, "input_width": 28, "layers": LAYERS}
PARAMS: dict[str, Any] = {
    "epochs": 2,
    "batch_size": 32,
    "optimizer": {"type": "adam", "lr": 0.01},
    "max_samples": 300,
    "dataset_type": "digits",
}
BODY: dict[str, Any] = {"architecture": NET, "hyperparams": PARAMS}
COMPILED = ProgramCache()  # by any server of the test process, for all of them


def settings(folder: Path, **changes: Any) -> Settings:
    return Settings(state_dir=folder / "state", data_dir=folder / "data", **changes)


def parts(app: Flask) -> Services:
    services: Services = app.extensions["lamina"]
    return services


def out_of_reach(name: str, data_dir: Path) -> tuple[bool, str]:
    return False, f"{name} is out of reach."


def offline_app(
    folder: Path,
    *,
    deaths: Deaths | None = None,
    available: Callable[[str, Path], tuple[bool, str]] = out_of_reach,
    programs: ProgramCache = COMPILED,
    **changes: Any,
) -> Flask:
    """An application that never asks the network for a data set."""
    chooser = DefaultDataset(folder / "data", available=available)
    services = start(settings(folder, **changes), deaths=deaths, default_dataset=chooser, programs=programs)
    app = create_app(services)
    app.testing = True
    return app


def finish(client: FlaskClient, run_id: str) -> dict[str, Any]:
    """The record of a run once it has ended."""

    def ended() -> bool:
        return client.get(f"/api/runs/{run_id}").json["state"] not in ("queued", "running")

    eventually(ended, within=60.0)
    record: dict[str, Any] = client.get(f"/api/runs/{run_id}").json
    return record


class KeepsAlive(WSGIRequestHandler):
    """Streams end by a last chunk, as those of the real server."""

    protocol_version = "HTTP/1.1"


@contextmanager
def serving(app: Flask) -> Iterator[str]:
    """The address of an application that answers on a socket, in this process."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=KeepsAlive)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Flask]:
    app = offline_app(tmp_path)
    yield app
    parts(app).close()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@dataclass(frozen=True)
class Trained:
    """An application with one succeeded run. Shared: tests leave that run and its model as they are."""

    app: Flask
    client: FlaskClient
    accepted: dict[str, Any]  # the answer of POST /api/train
    run_id: str
    model_id: str


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trained]:
    app = offline_app(tmp_path_factory.mktemp("trained"))
    client = app.test_client()
    accepted = client.post("/api/train", json={**BODY, "name": "shared"})
    assert accepted.status_code == 202, accepted.json
    run_id, model_id = accepted.json["run_id"], accepted.json["model_id"]
    assert finish(client, run_id)["state"] == "succeeded"
    yield Trained(app, client, accepted.json, run_id, model_id)
    parts(app).close()


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Training that goes on until it is cancelled, or until the event is set: then it fails."""
    release = threading.Event()

    def fit(*_: object, **__: object) -> Iterator[Progress]:
        while not release.wait(0.01):
            yield Progress("training", 0.1, 1, 2)

    monkeypatch.setattr("backend.training.executor.fit", fit)
    yield release
    release.set()


def wait_running(client: FlaskClient, run_id: str) -> None:
    eventually(lambda: client.get(f"/api/runs/{run_id}").json["state"] == "running", within=DEADLINE)
