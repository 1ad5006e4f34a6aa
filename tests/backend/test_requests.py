"""Fields of requests that are misspelt, named as elsewhere, or in the wrong place."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from tests.backend.conftest import Trained


@pytest.fixture(scope="module")
def client(trained: Trained) -> FlaskClient:
    return trained.client


@pytest.mark.parametrize(
    ("path", "field", "hint"),
    [
        ("/api/train", "Architecture", "Did you mean 'architecture'?"),
        ("/api/train", "network", "Did you mean 'architecture'?"),
        ("/api/train", "hyperparameters", "Did you mean 'hyperparams'?"),
        ("/api/train", "modelId", "Did you mean 'model_id'?"),
        ("/api/train", "resumeFrom", "Did you mean 'resume_from'?"),
        ("/api/train", "layers", "It belongs in architecture."),
        ("/api/train", "input_size", "It belongs in architecture."),
        ("/api/train", "epochs", "It belongs in hyperparams."),
        ("/api/train", "batchSize", "It belongs in hyperparams."),
        ("/api/train", "dataset", "It belongs in hyperparams."),
        ("/api/train", "optimizer", "It belongs in hyperparams."),
        ("/api/train", "learning_rate", "It belongs in hyperparams.optimizer."),
        ("/api/models", "epochs", "It belongs in hyperparams."),
        ("/api/models/m/save", "layers", "It belongs in architecture."),
        ("/api/models/save", "runId", "Did you mean 'run_id'?"),
        ("/api/infer", "image", "Did you mean 'pixels'?"),
        ("/api/infer", "Pixels", "Did you mean 'pixels'?"),
        ("/api/infer", "instances", "Did you mean 'batch'?"),
    ],
)
def test_a_field_with_another_name_or_in_another_place(client: FlaskClient, path: str, field: str, hint: str) -> None:
    answer = client.post(path, json={field: 1})
    assert answer.status_code == 400
    found = next(each["detail"] for each in answer.json["errors"] if each["pointer"] == f"/{field}")
    assert f"is not a field of this request. {hint} Its fields:" in found


def test_what_belongs_nowhere_has_no_place(client: FlaskClient) -> None:
    for path, field in (("/api/infer", "epochs"), ("/api/train", "qwertz")):
        [problem] = [
            each for each in client.post(path, json={field: 1}).json["errors"] if each["pointer"] == f"/{field}"
        ]
        assert "is not a field of this request. Its fields:" in problem["detail"]
