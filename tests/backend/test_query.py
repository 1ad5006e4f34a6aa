"""Query parameters, by one rule on every route."""

from __future__ import annotations

import re

import pytest
from flask.testing import FlaskClient

from backend.parsing.queries import Query
from backend.web.openapi import OPERATIONS
from tests.backend.conftest import BODY, Trained

ROUTES = [*OPERATIONS, ("GET", "/metrics"), ("HEAD", "/api/health"), ("HEAD", "/api/runs/<run_id>/events")]


def asked(trained: Trained, method: str, rule: str, query: str) -> int:
    """The status of a request whose body, where it takes one, is empty, for a run that is there."""
    known = trained.run_id if method in ("GET", "HEAD") else "r_unknown"
    path = re.sub(r"<run_id>", known, re.sub(r"<model_id>", trained.model_id if known[2:] != "unknown" else "m", rule))
    answer = trained.client.open(path + query, method=method)
    answer.close()  # streams and files, which nobody reads
    return answer.status_code


@pytest.mark.parametrize(("method", "rule"), ROUTES)
def test_unknown_query_parameters_are_refused_everywhere(trained: Trained, method: str, rule: str) -> None:
    plain = asked(trained, method, rule, "")
    for query in ("?dry_run=true", "?Limit=1", "?=1", "?dry_run=1&_=1", "?%00=1"):
        assert asked(trained, method, rule, query) == 400, query
    for query in ("?", "?_=1764326400000", "?_", "?_=1&_=2"):
        assert asked(trained, method, rule, query) == plain, query


@pytest.mark.parametrize(
    ("method", "rule"), [key for key, operation in OPERATIONS.items() if operation.query is not Query]
)
def test_what_the_document_names_is_taken_once(trained: Trained, method: str, rule: str) -> None:
    operation = OPERATIONS[method, rule]
    run_id = trained.run_id if method == "GET" else "r_unknown"  # others need it
    path = rule.replace("<run_id>", run_id).replace("<model_id>", trained.model_id)
    for name, schema in operation.query.model_json_schema()["properties"].items():
        value = schema.get("enum", ["1"])[0]
        for query, ok in ((f"?{name}={value}", True), (f"?{name}={value}&{name}={value}", False)):
            answer = trained.client.open(path + query, method=method)
            error = answer.get_json()["error"] if answer.status_code == 400 else ""
            answer.close()
            assert ("is not a query parameter" not in error and "came 2 times" not in error) is ok, (query, error)


def test_a_mistaken_parameter_starts_nothing_and_is_told_where_it_belongs(client: FlaskClient) -> None:
    for query, message in (
        ("dry_run=true", '"dry_run" is not a query parameter of this endpoint; it takes none'),
        ("queue=true", "Send queue in the body."),
    ):
        answer = client.post(f"/api/train?{query}", json=BODY)
        assert answer.status_code == 400 and message in answer.json["error"]
    assert client.get("/api/runs").json["runs"] == [] == client.get("/api/models").json


def test_a_preflight_and_an_unknown_path_say_what_they_say(client: FlaskClient) -> None:
    assert client.options("/api/train?x=1", headers={"Origin": "http://localhost:3000"}).status_code == 200
    assert client.get("/api/nowhere?x=1").status_code == 404
    assert client.put("/api/train?x=1").status_code == 405
