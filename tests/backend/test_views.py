"""Answers hold what the document says of them: all of it, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient
from pydantic import TypeAdapter

from backend.web.views import Accepted, Defined, ListedRun, Model, ModelWithRuns, Promoted, Run
from tests.backend.conftest import NET, Trained
from tests.backend.samples import Json


@pytest.fixture(scope="module")
def client(trained: Trained) -> FlaskClient:
    return trained.client


def require(view: Any, answer: Json) -> None:
    """Every field of a view that must be there, of its type, and no other."""
    adapter = TypeAdapter(view)
    adapter.validate_python(answer, strict=True)
    schema = adapter.json_schema()
    assert set(schema["required"]) <= answer.keys() <= set(schema["properties"]), view.__name__


def test_runs_are_as_the_document_says(trained: Trained, client: FlaskClient) -> None:
    require(Accepted, trained.accepted)
    require(Run, client.get(f"/api/runs/{trained.run_id}").json)
    for query in ("", "?include=metrics,architecture", "?include=sample_predictions"):
        for run in client.get(f"/api/runs{query}").json["runs"]:
            require(ListedRun, run)


def test_models_are_as_the_document_says(trained: Trained, client: FlaskClient) -> None:
    for model in client.get("/api/models").json:
        require(Model, model)
    model = client.get(f"/api/models/{trained.model_id}").json
    require(ModelWithRuns, model)
    for run in model["runs"]:
        require(Run, run)
    made = client.post("/api/models", json={"architecture": NET}).json
    require(Defined, made)
    client.delete(f"/api/models/{made['model_id']}")


def test_a_promotion_is_as_the_document_says(trained: Trained, client: FlaskClient) -> None:
    before = client.get(f"/api/models/{trained.model_id}").json
    require(Promoted, client.post("/api/models/save", json={"run_id": trained.run_id}).json)
    standing = {name: before[name] for name in ("trained", "saved_model_path")}
    client.patch(f"/api/models/{trained.model_id}", json=standing)


def test_what_is_kept_to_the_server_is_not_told(trained: Trained, client: FlaskClient) -> None:
    run = client.get(f"/api/runs/{trained.run_id}").json
    assert not {"dataset", "dataset_named", "queued", "curve"} & run.keys()
    assert run["dataset_type"] == "digits" and run["metrics_total"] == len(run["metrics"]) == 2
