"""Who may ask: tokens, Host and Origin headers, and what every answer carries."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from backend.config import Settings
from backend.web.access import HEADERS, allows_host
from tests.backend.conftest import BODY, finish, offline_app, parts

TOKEN = "a-secret-of-some-length"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Flask]:
    app = offline_app(tmp_path, token=TOKEN, cors_origins=("https://lab.example",))
    yield app
    parts(app).close()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/models"),
        ("POST", "/api/train"),
        ("POST", "/api/infer"),
        ("DELETE", "/api/models/m_1"),
        ("GET", "/api/runs/r_1/events"),
        ("GET", "/api/no-such-thing"),
        ("HEAD", "/api/runs"),
    ],
)
@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}])
def test_without_the_token_nothing_is_told(guarded: Flask, method: str, path: str, headers: dict[str, str]) -> None:
    answer = guarded.test_client().open(path, method=method, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert method == "HEAD" or "Authorization: Bearer" in answer.get_json()["error"]


def test_with_the_token_everything_works_and_no_log_shows_it(guarded: Flask, caplog: pytest.LogCaptureFixture) -> None:
    client = guarded.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = BEARER["Authorization"]
    with caplog.at_level(logging.DEBUG):
        run_id = client.post("/api/train", json=BODY).get_json()["run_id"]
        assert finish(client, run_id)["state"] == "succeeded"
        stranger = guarded.test_client()
        assert stranger.get(f"/api/runs/{run_id}/events?token={TOKEN}").text.count("event: metric") == 2
        assert stranger.get(f"/api/runs/{run_id}/events?token=wrong").status_code == 401
        assert stranger.get(f"/api/events?runs={run_id}&token={TOKEN}").text.count("event: metric") == 2
        for path in ("/api/events?runs=all", "/api/events/test"):
            assert stranger.head(path).status_code == 401
            assert stranger.head(f"{path}{'&' if '?' in path else '?'}token={TOKEN}").status_code == 200
        assert stranger.get(f"/api/runs/{run_id}?token={TOKEN}").status_code == 401  # a header can be sent there
    assert TOKEN not in caplog.text and TOKEN not in repr(parts(guarded).settings)


def test_health_and_preflights_need_no_token(guarded: Flask) -> None:
    client = guarded.test_client()
    assert client.get("/api/health").status_code == 200
    asked = {
        "Origin": "http://localhost:5173",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization, content-type",
    }
    answer = client.options("/api/train", headers=asked)
    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] == "http://localhost:5173"
    assert "authorization" in answer.headers["Access-Control-Allow-Headers"]


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:5173", "127.0.0.1:8080", "[::1]:8080", "localhost."])
def test_names_of_this_machine_are_answered(client: FlaskClient, host: str) -> None:
    assert client.get("/api/health", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8080", "192.168.1.7", "127.0.0.1.evil.example", "a b", "", "@localhost", "[::1"],
)
@pytest.mark.parametrize("path", ["/api/health", "/api/models", "/nothing"])
def test_other_names_are_refused(client: FlaskClient, host: str, path: str) -> None:
    """DNS rebinding: a page of evil.example whose name points here since a moment ago."""
    answer = client.get(path, headers={"Host": host})
    assert answer.status_code == 403
    assert "LAMINA_ALLOWED_HOSTS" in answer.get_json()["error"]


@pytest.mark.parametrize(
    ("settings", "name", "answered"),
    [
        ({"host": "0.0.0.0"}, "192.168.1.7", True),
        ({"host": "0.0.0.0"}, "lab.example", False),
        ({"host": "0.0.0.0", "allowed_hosts": ("lab.example",)}, "lab.example", True),
        ({"host": "::"}, "fe80::1", True),
        ({"host": "192.168.1.7"}, "192.168.1.7", True),
        ({"host": "192.168.1.7"}, "192.168.1.8", False),
        ({"host": "lab.example"}, "lab.example", True),
        ({"allowed_hosts": ("*",)}, "anything.example", True),
    ],
)
def test_the_bind_says_which_names_are_answered(settings: dict[str, Any], name: str, answered: bool) -> None:
    assert allows_host(name, Settings(**settings)) is answered


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://localhost.evil.example", "http://evil.example:80"]
)
def test_a_page_elsewhere_changes_nothing(client: FlaskClient, origin: str) -> None:
    """Not even by a CORS-simple request, which has no preflight."""
    answer = client.post("/api/train/r_1/cancel", headers={"Origin": origin})
    assert answer.status_code == 403 and "LAMINA_CORS_ORIGINS" in answer.get_json()["error"]
    assert client.delete("/api/models/m_1", headers={"Origin": origin}).status_code == 403
    assert "Access-Control-Allow-Origin" not in client.get("/api/models", headers={"Origin": origin}).headers


def test_pages_of_this_machine_and_of_named_origins_may(guarded: Flask) -> None:
    client = guarded.test_client()
    for origin in ("http://localhost:5173", "http://127.0.0.1:3000", "https://lab.example", "http://localhost"):
        answer = client.post("/api/train/r_1/cancel", headers={"Origin": origin, **BEARER})
        assert answer.status_code == 404
        assert answer.headers["Access-Control-Allow-Origin"] == origin


@pytest.mark.parametrize("path", ["/api/health", "/api/models", "/nothing"])
def test_every_answer_carries_the_headers_of_caution(client: FlaskClient, path: str) -> None:
    headers = client.get(path).headers
    assert HEADERS.items() <= dict(headers).items()
    assert headers["Cache-Control"] == "no-store"
