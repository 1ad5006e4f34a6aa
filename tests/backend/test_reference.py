"""The index and the reference: for people and programs, without a token, and without a request elsewhere."""

from __future__ import annotations

import gzip
import json
import re
import shlex
from collections.abc import Iterator
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from backend.parsing.requests import TrainBody, check
from backend.web.openapi import document
from backend.web.reference_pages import FILES, for_people
from tests.backend.conftest import offline_app, parts

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"}
HERE = files("backend.web") / "reference"


@pytest.fixture
def closed(tmp_path: Path) -> Iterator[Flask]:
    """A server with a token."""
    app = offline_app(tmp_path, token="secret", port=8080)
    yield app
    parts(app).close()


def test_the_index_is_a_page_json_or_text(client: FlaskClient) -> None:
    page, text = client.get("/", headers=BROWSER), client.get("/", headers={"Accept": "*/*"})
    told = client.get("/", headers={"Accept": "application/json"})
    assert [answer.mimetype for answer in (page, text, told)] == ["text/html", "text/plain", "application/json"]
    assert client.get("/").mimetype == "text/plain"
    for answer in (page, text, told):
        assert "Accept" in answer.headers["Vary"] and "Lamina" in answer.text
        for path in ("/docs", "/api/health", "/api/openapi.json", "/metrics"):
            assert path in answer.text
    for path in set(told.json["links"].values()) | set(re.findall(r'href="(/[^"]*)"', page.text)):
        assert client.get(path).status_code == 200, path


def test_the_index_begins_with_a_line_that_trains(client: FlaskClient) -> None:
    words = shlex.split(client.get("/", headers={"Accept": "application/json"}).json["begin"])
    assert words[:3] == ["curl", "-s", "http://localhost/api/train"] and words[3:5] == [
        "-H",
        "Content-Type: application/json",
    ]
    check(TrainBody, json.loads(words[6]))


def test_the_reference_has_the_document_in_it(client: FlaskClient, app: Flask) -> None:
    text = client.get("/docs", headers=BROWSER).text
    found = re.search(r'<script type="application/json" id="document">(.*?)</script>', text)
    assert found and json.loads(found[1]) == json.loads(json.dumps(for_people(document(app))))
    assert "<" not in found[1]


def test_what_people_read_has_no_null_that_says_nothing() -> None:
    schema = {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None, "title": "X", "description": "About."}
    assert for_people(schema) == {"type": "integer", "description": "About."}
    assert for_people({"anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "null"}]})["anyOf"][2]


def test_pages_need_no_token_and_say_nothing_of_what_the_server_holds(closed: Flask) -> None:
    client = closed.test_client()
    assert client.get("/api/openapi.json").status_code == client.get("/metrics").status_code == 401
    before = [client.get(path, headers=BROWSER).text for path in ("/", "/docs")]
    made = client.post("/api/models", json={"name": "hidden"}, headers={"Authorization": "Bearer secret"})
    assert made.status_code == 201
    assert [client.get(path, headers=BROWSER).text for path in ("/", "/docs")] == before
    assert all(client.get(f"/docs/{name}").status_code == 200 for name in FILES)
    assert not any("secret" in text or str(parts(closed).settings.state_dir) in text for text in before)
    for path in ("/", "/docs"):
        assert client.get(path, headers={"Host": "evil.example"}).status_code == 403
        assert client.post(path).status_code == 405 and client.get(f"{path}?x=1").status_code == 400
        assert client.head(path).status_code == 200


@pytest.mark.parametrize("path", ["/", "/docs", *(f"/docs/{name}" for name in FILES)])
def test_pages_are_compressed_kept_and_may_ask_this_server_alone(client: FlaskClient, path: str) -> None:
    plain = client.get(path, headers=BROWSER)
    packed = client.get(path, headers={**BROWSER, "Accept-Encoding": "gzip, br"})
    assert packed.headers["Content-Encoding"] == "gzip" and gzip.decompress(packed.data) == plain.data
    assert "Accept-Encoding" in packed.headers["Vary"] and plain.headers["ETag"] != packed.headers["ETag"]
    for answer in (plain, packed):
        coding = {"Accept-Encoding": "gzip"} if answer is packed else {}
        again = client.get(path, headers={**BROWSER, **coding, "If-None-Match": answer.headers["ETag"]})
        assert (again.status_code, again.data) == (304, b"")
        policy = dict(part.strip().partition(" ")[::2] for part in answer.headers["Content-Security-Policy"].split(";"))
        assert policy["default-src"] == "'none'" and policy["script-src"] == "'self'" and "connect-src" not in policy
        assert not [source for source in policy.values() if "http" in source or "*" in source or "eval" in source]
    for found in re.findall(r'(?:src|href)="([^"]+)"', plain.text if path in ("/", "/docs") else ""):
        assert found.startswith("/"), found


def test_the_viewer_is_what_was_published() -> None:
    told = json.loads((HERE / "vendored.json").read_text("utf-8"))
    viewer = gzip.decompress((HERE / told["kept_as"]).read_bytes())
    assert sha256(viewer).hexdigest() == told["sha256"]
    assert f"RapiDoc {told['version']}".encode() in viewer and told["license"] == "MIT"
    assert "MIT License" in (HERE / "rapidoc.LICENSE.txt").read_text("utf-8")
    assert (HERE / "rapidoc.NOTICES.txt").is_file()


def test_operations_are_grouped_by_subjects_that_are_described(app: Flask) -> None:
    made = document(app)
    about = {tag["name"]: tag["description"] for tag in made["tags"]}
    for path, operations in made["paths"].items():
        for operation in operations.values():
            (tag,) = operation["tags"]
            assert about.get(tag), f"{path}: {tag} is not in SUBJECTS"
            assert len(operation["summary"]) <= 100 and "`" not in operation["summary"]
