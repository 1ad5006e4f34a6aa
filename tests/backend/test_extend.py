"""Runs that are continued over more epochs, whose curve of the learning rate was laid over fewer."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.backend.conftest import BODY, finish

Json = dict[str, Any]
LR = 0.1
COSINE = {"type": "cosine", "warmup_epochs": 0.5}


def body(schedule: Json | None, epochs: int) -> Json:
    own = {"epochs": epochs, "optimizer": {"type": "sgd", "lr": LR}, "max_samples": 100, "batch_size": 30}
    return {**BODY, "hyperparams": {**BODY["hyperparams"], **own, "lr_schedule": schedule}}


def trained(client: FlaskClient, sent: Json) -> Json:
    """The record of a run, with what was told of its learning rate before."""
    answer = client.post("/api/train", json=sent)
    assert answer.status_code == 202, answer.json
    told = client.post("/api/inspect", json=sent).json["learning_rate"]
    assert answer.json["learning_rate"] == told
    record = finish(client, answer.json["run_id"])
    assert record["state"] == "succeeded", record["error"]
    return {**record, "told": told, "rates": [metric["learning_rate"] for metric in record["metrics"]]}


def more(run: Json, epochs: int, extend: str | None = None, **schedule: Any) -> Json:
    fields: Json = {"epochs": epochs, **({"lr_schedule": schedule} if schedule else {})}
    return {"resume_from": run["run_id"], "hyperparams": fields, **({"extend": extend} if extend else {})}


def refused(client: FlaskClient, sent: Json) -> Json:
    answer = client.post("/api/train", json=sent)
    assert answer.status_code == 400
    (problem,) = answer.json["errors"]
    inspected = client.post("/api/inspect", json=sent).json
    assert [each["pointer"] for each in inspected["problems"]] == [problem["pointer"]]
    return dict(problem)


def test_a_curve_goes_on_as_the_body_says_and_not_otherwise(client: FlaskClient) -> None:
    """A run that was continued is continued again, and one that is rescaled is as if it had been so long at once."""
    first = trained(client, body(COSINE, 2))
    assert first["told"]["largest"] == LR and first["told"]["last"] == first["rates"][-1] < first["told"]["first"]

    assert refused(client, more(first, 1))["pointer"] == "/hyperparams/epochs"  # whatever becomes of its curve
    problem = refused(client, more(first, 4))
    assert (problem["pointer"], problem["code"]) == ("/extend", "missing")
    assert problem["expected"] == {"enum": ["rescale", "hold", "restart"]}
    for way in ("laid over all epochs, of which", '"rescale" lays', '"hold" keeps', '"restart" begins'):
        assert way in problem["detail"]

    whole = trained(client, body(COSINE, 4))
    rescaled = trained(client, more(first, 4, "rescale"))
    assert rescaled["rates"] == whole["rates"][2:]

    held = trained(client, more(first, 4, "hold"))
    assert held["rates"] == [first["rates"][-1]] * 2 == [held["told"]["first"], held["told"]["last"]]
    assert held["hyperparams"]["lr_schedule"]["horizon_epochs"] == 2

    again = trained(client, more(first, 4, "restart"))
    assert again["rates"] == first["rates"] and again["told"] == first["told"]
    assert again["hyperparams"]["lr_schedule"]["begin_after_epochs"] == 2

    assert refused(client, more(again, 6))["pointer"] == "/extend"
    third = trained(client, more(again, 6, "restart"))
    assert third["rates"] == first["rates"]
    still = trained(client, more(held, 5))  # its curve no longer depends on the epochs
    assert still["rates"] == [first["rates"][-1]]


@pytest.mark.slow
def test_other_ways_to_say_what_becomes_of_a_curve(client: FlaskClient) -> None:
    first = trained(client, body(COSINE, 2))
    assert trained(client, more(first, 4, horizon_epochs=10))["rates"][0] > first["rates"][-1]
    assert len(trained(client, more(first, 3, begin_after_epochs=2))["rates"]) == 1
    constant = trained(client, more(first, 3, type="constant"))
    assert constant["rates"] == [LR] and "lr_schedule" in constant["hyperparams"]
    without = {"resume_from": first["run_id"], "hyperparams": {"epochs": 3, "lr_schedule": None}}
    assert trained(client, without)["rates"] == [LR]
    stairs = trained(client, body({"type": "step", "step_epochs": 1}, 2))
    assert trained(client, more(stairs, 3))["rates"] == [pytest.approx(LR * 0.01)]
    assert trained(client, more(stairs, 3, "hold"))["rates"] == [pytest.approx(LR * 0.1)]
    assert trained(client, more(stairs, 4, "restart"))["rates"] == [LR, pytest.approx(LR * 0.1)]


def test_extend_is_refused_where_it_means_nothing(client: FlaskClient) -> None:
    assert refused(client, {**body(COSINE, 2), "extend": "hold"})["code"] == "unused"
    plain = trained(client, body(None, 1))
    assert plain["told"] == {"first": LR, "largest": LR, "last": LR}
    problem = refused(client, more(plain, 2, "restart"))
    assert (problem["code"], problem["fix"]) == ("unused", [{"op": "remove", "path": "/extend"}])
    assert "without an lr_schedule there is no curve" in problem["detail"]
    assert refused(client, more(plain, 2, "stretch"))["code"] == "not_one_of"
    plateau = trained(client, body({"type": "reduce_on_plateau", "patience": 0, "threshold": 1}, 2))
    assert "reduce_on_plateau follows the run" in refused(client, more(plateau, 3, "hold"))["detail"]
    assert trained(client, more(plateau, 3))["told"]["first"] == pytest.approx(LR * 0.1)
