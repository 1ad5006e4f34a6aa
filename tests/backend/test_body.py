"""Bodies that are no JSON object, and those that need not be one."""

from __future__ import annotations

import json
import re

import pytest
from flask import Flask
from flask.testing import FlaskClient

from backend.parsing.strict_json import MAX_DEPTH
from tests.backend.conftest import Trained

JSON = "application/json"


@pytest.fixture(scope="module")
def client(trained: Trained) -> FlaskClient:
    return trained.client


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "The body is empty"),
        (b"{", r"Malformed JSON: line 1, column 2: Expecting property name"),
        (b'{"a": 1,\n "b": }', r"line 2, column 7"),
        (b"{} {}", "Extra data"),
        (b"\xff{", "byte 1 of the body is not UTF-8"),
        (json.dumps({}).encode("utf-16"), "the body is UTF-16; send UTF-8"),
        (b"\x00", "Malformed JSON: line 1, column 1"),
        (b"[" * 100_000, f"deeper than {MAX_DEPTH} levels"),
        (b'{"a":' * 500 + b"1" + b"}" * 500, f"deeper than {MAX_DEPTH} levels"),
        (b"[1, 2]", "must be a JSON object, got"),
        (b'"text"', "must be a JSON object, got"),
        (b"null", "must be a JSON object, got null"),
        (b"NaN", "must be a finite number, got NaN"),
        (
            b'{"architecture": {"layers": [{"p": NaN}]}}',
            r"architecture.layers\[0\].p: must be a finite number, got NaN",
        ),
        (b'{"hyperparams": {"seed": -Infinity}}', "hyperparams.seed: must be a finite number, got -Infinity"),
        (b'{"hyperparams": {"seed": 1e999}}', "hyperparams.seed: must be a finite number"),
        (b'{"hyperparams": {"seed": ' + b"9" * 5000 + b"}}", "hyperparams.seed: must fit into 64 bits.*5000 digits"),
        (b'{"hyperparams": {"seed": -' + b"9" * 30 + b"}}", "hyperparams.seed: must fit into 64 bits.*30 digits"),
        (b'{"name": "a", "name": "b"}', "name: comes more than once"),
        (b'{"hyperparams": {"seed": 1, "seed": 1}}', "hyperparams.seed: comes more than once"),
        (b'{"name": "\\ud800"}', "name: has half a surrogate pair"),
        (b'{"\\udfff": 1}', "has half a surrogate pair in its name"),
    ],
)
@pytest.mark.parametrize("path", ["/api/train", "/api/models", "/api/models/save", "/api/models/x/save", "/api/infer"])
def test_malformed_bodies_are_a_400_with_the_place(client: FlaskClient, path: str, body: bytes, message: str) -> None:
    answer = client.post(path, data=body, content_type=JSON)
    assert answer.status_code == 400
    assert re.search(message, answer.json["error"])


@pytest.mark.parametrize("content_type", ["text/plain", "multipart/form-data", "application/x-www-form-urlencoded", ""])
def test_a_body_that_is_no_json_is_a_415(client: FlaskClient, content_type: str) -> None:
    for path in ("/api/train", "/api/models", "/api/infer", "/api/models/save"):
        answer = client.post(path, data=b'{"a": 1}', content_type=content_type)
        assert answer.status_code == 415 and "application/json" in answer.json["error"]


def test_a_cancel_takes_no_other_body_either(client: FlaskClient) -> None:
    """Its body says nothing, but a page elsewhere could send one of another type without asking leave."""
    answer = client.post("/api/train/r_1/cancel", data="{}", content_type="text/plain")
    assert answer.status_code == 415
    assert client.post("/api/train/r_1/cancel", json={}).status_code == 404


def test_json_with_a_charset_or_a_suffix_is_json(client: FlaskClient) -> None:
    for content_type in ("application/json; charset=utf-8", "Application/JSON", "application/vnd.api+json"):
        answer = client.post("/api/train", data=b"{}", content_type=content_type)
        assert answer.status_code == 400 and "architecture" in answer.json["error"]


def test_an_empty_body_is_never_refused_for_its_type(client: FlaskClient) -> None:
    for content_type in (JSON, "text/plain", ""):
        assert client.post("/api/train/r_unknown/cancel", content_type=content_type).status_code == 404
        assert client.post("/api/train", content_type=content_type).status_code == 400
    assert client.get("/api/models", content_type=JSON).status_code == 200


@pytest.mark.parametrize("body", [b"", b"null", b" null\n", b"{}"])
def test_null_is_an_empty_body_where_none_is_required(app: Flask, body: bytes) -> None:
    client = app.test_client()
    for path in ("/api/train/r_unknown/cancel", "/api/runs/r_unknown/resume"):
        answer = client.post(path, data=body, content_type="application/json")
        assert answer.status_code == 404 and "no run" in answer.json["error"]
    assert client.post("/api/train", data=body, content_type="application/json").status_code == 400
