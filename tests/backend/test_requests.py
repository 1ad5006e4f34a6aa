"""Fields of requests that are misspelt, named as elsewhere, or in the wrong place."""

from __future__ import annotations

import re
from typing import Annotated

import pytest
from flask.testing import FlaskClient
from pydantic import Field

from backend.parsing.requests import DefineBody, TrainBody, check
from backend.web.openapi import OPERATIONS
from nets.errors import Problem, SpecError
from nets.spec.fields import Whole
from tests.backend.conftest import Trained
from tests.backend.samples import ARCHITECTURE


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


class Wider(TrainBody):
    """A body with one field more: all that a change would have to write, beside what it does with it."""

    patience: Annotated[Whole, Field(ge=1, le=100)] | None = Field(None, description="Epochs without progress.")


def test_one_line_adds_a_field_to_a_body() -> None:
    body = {"architecture": ARCHITECTURE}
    assert check(Wider, {**body, "patience": 3}).patience == 3 and check(Wider, body).patience is None
    for name, value, message in (
        ("patience", 0, "patience: must be at least 1, got 0"),
        ("patience", "3", 'patience: must be a whole number, got "3"'),
        ("patiance", 3, "patiance: is not a field of this request. Did you mean 'patience'?"),
    ):
        with pytest.raises(SpecError, match=re.escape(message)):
            check(Wider, {**body, name: value})
    with pytest.raises(SpecError, match="patience: is not a field of this request"):
        check(TrainBody, {**body, "patience": 3})
    described = Wider.model_json_schema()["properties"]["patience"]
    assert described["description"] == "Epochs without progress."
    assert described["anyOf"][0] == {"type": "integer", "minimum": 1, "maximum": 100}


def test_all_problems_are_told_at_once_and_unknown_fields_first() -> None:
    sent = {"run_id": "r", "name": " ", "trained": 1, "architecture": {"layers": []}, "hyperparams": {"seed": -1}}
    further = [Problem(("model_id",), "is another", "mismatch"), Problem(("name",), "is told already", "conflict")]
    with pytest.raises(SpecError) as refused:
        check(DefineBody, sent, further=further)
    found = [problem.place for problem in refused.value.problems]
    assert found == ["run_id", "name", "architecture.layers", "hyperparams.seed", "trained", "model_id"]


def test_every_field_of_every_body_is_described() -> None:
    for operation in OPERATIONS.values():
        for body in operation.takes:
            assert body.__doc__ and all(field.description for field in body.model_fields.values()), body
            if body.example is not None:
                check(body, body.example)


def test_what_belongs_nowhere_has_no_place(client: FlaskClient) -> None:
    for path, field in (("/api/infer", "epochs"), ("/api/train", "qwertz")):
        [problem] = [
            each for each in client.post(path, json={field: 1}).json["errors"] if each["pointer"] == f"/{field}"
        ]
        assert "is not a field of this request. Its fields:" in problem["detail"]
