"""What a page of another origin may send and read."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from backend.web.openapi import OPERATIONS

PAGE = "http://localhost:5173"


def preflight(client: FlaskClient, path: str, method: str) -> Any:
    headers = {
        "Origin": PAGE,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "content-type",
    }
    return client.options(path, headers=headers)


@pytest.mark.parametrize(("method", "rule"), list(OPERATIONS))
def test_exactly_the_methods_that_a_path_takes_are_advertised(client: FlaskClient, method: str, rule: str) -> None:
    path = rule.replace("<", "").replace(">", "")
    answer = preflight(client, path, method)
    assert answer.status_code == 200 and answer.headers["Access-Control-Allow-Origin"] == PAGE
    advertised = set(answer.headers["Access-Control-Allow-Methods"].split(", "))
    taken = {known for known, other in OPERATIONS if client.application.url_map.bind("").test(path, known)}
    assert advertised - {"HEAD", "OPTIONS"} == taken and method in taken
    assert int(answer.headers["Access-Control-Max-Age"]) >= 600


def test_a_page_can_read_that_its_path_is_mistyped(client: FlaskClient) -> None:
    for method in ("POST", "PATCH", "DELETE"):
        asked = preflight(client, "/api/modles/m_1", method)
        assert asked.status_code == 200 and method in asked.headers["Access-Control-Allow-Methods"]
        answer = client.open("/api/modles/m_1", method=method, headers={"Origin": PAGE}, json={})
        assert answer.status_code == 404 and "/api/modles/m_1" in answer.get_json()["error"]
        assert answer.headers["Access-Control-Allow-Origin"] == PAGE
    assert client.options("/api/modles").status_code == 404
    assert "PUT" not in preflight(client, "/api/models", "PUT").headers.get("Access-Control-Allow-Methods", "")
    elsewhere = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    assert not [name for name, _ in client.options("/api/modles", headers=elsewhere).headers if "Control-Allow" in name]


def test_a_page_can_read_when_to_try_again(client: FlaskClient) -> None:
    answer = client.get("/api/models", headers={"Origin": PAGE})
    assert {"Retry-After", "Location"} <= set(answer.headers["Access-Control-Expose-Headers"].split(", "))
