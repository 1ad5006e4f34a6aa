"""What of a client's words is repeated."""

from __future__ import annotations

import logging

import pytest
from flask.testing import FlaskClient

from backend.quoting import without_secrets

SECRET = "s3cret-token"


def test_paths_in_the_log_are_cut_where_a_query_was_meant(
    client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="lamina.http"):
        answer = client.get(f"/api/runs/r_1%3Ftoken={SECRET}")
    assert answer.status_code == 404 and SECRET not in answer.text and SECRET not in caplog.text
    assert without_secrets("/api/runs/r_1") == "/api/runs/r_1"
    assert without_secrets("/api/runs/r_1/events?token=x") == "/api/runs/r_1/events?..."
