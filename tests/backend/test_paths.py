"""A slash too many."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from backend.web.paths import tidy
from tests.backend.conftest import offline_app, parts


@pytest.mark.parametrize(
    ("path", "status"),
    [
        *(("/api/models/", 200), ("//api/models", 200), ("/api//models", 200), ("//api///runs//", 200)),
        *(("/api/health/", 200), ("/metrics/", 200), ("/api/runs/r_1/", 404), ("/", 200), ("//", 200)),
    ],
)
def test_it_changes_nothing_at_the_ends_of_a_path(client: FlaskClient, path: str, status: int) -> None:
    answer = client.get(environ_overrides={"PATH_INFO": path})
    assert answer.status_code == status, answer.text


def test_an_id_that_is_missing_is_not_passed_over(client: FlaskClient) -> None:
    """`/api/models/save` is another endpoint than `/api/models/<no id>/save`."""
    assert tidy("/api/models//save") == "/api/models//save"
    for method, path in (("POST", "/api/models//save"), ("GET", "/api/runs//events"), ("POST", "/api/train//cancel")):
        answer = client.open(path, method=method, json={} if method == "POST" else None)
        assert answer.status_code == 404 and "it has two slashes in a row" in answer.get_json()["error"]


def test_no_slash_opens_what_needs_a_token(tmp_path_factory: pytest.TempPathFactory) -> None:
    app = offline_app(tmp_path_factory.mktemp("guarded"), token="a-secret")
    client = app.test_client()
    for path in ("/api/models/", "//api/models", "/api//runs", "/metrics//", "//metrics", "///api///models///"):
        assert client.get(environ_overrides={"PATH_INFO": path}).status_code == 401, path
    assert client.get("/api/health//").status_code == 200
    parts(app).close()
