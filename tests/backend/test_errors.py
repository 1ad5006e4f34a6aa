"""Every failure is one JSON body with a sentence, whatever was sent."""

from __future__ import annotations

import json
import logging
import re
import sqlite3
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from backend.parsing.strict_json import LONG, MAX_DEPTH, Malformed, Rows, _numbers, loads
from tests.backend.conftest import BODY, NET, Trained, parts

JSON = "application/json"


@pytest.fixture(scope="module")
def client(trained: Trained) -> FlaskClient:
    return trained.client


def test_an_unknown_path_is_a_404_in_json(client: FlaskClient) -> None:
    for path in ("/", "/api", "/api/nope", "/api/runs//x", "/favicon.ico", "/api/runs/%00/x"):
        answer = client.get(path)
        assert answer.status_code == 404 and answer.is_json, path
        assert "no endpoint" in answer.json["error"]


def test_a_wrong_method_is_a_405_that_names_the_right_ones(client: FlaskClient) -> None:
    for method, path, allowed in (
        ("PUT", "/api/models", "GET, HEAD, OPTIONS, POST"),
        ("GET", "/api/train", "OPTIONS, POST"),
        ("POST", "/api/health", "GET, HEAD, OPTIONS"),
        ("PUT", "/api/models/x", "DELETE, GET, HEAD, OPTIONS, PATCH"),
    ):
        answer = client.open(path, method=method)
        assert (answer.status_code, answer.headers["Allow"]) == (405, allowed)
        assert allowed in answer.json["error"]


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


def test_whole_surrogate_pairs_and_plain_unicode_pass() -> None:
    assert loads(b'{"name": "\\ud83d\\ude00"}') == ({"name": "\U0001f600"}, [])
    assert loads('{"name": "\u00e9"}'.encode()) == ({"name": "\u00e9"}, [])


def test_all_that_json_forbids_is_told_at_once() -> None:
    _, problems = loads(b'{"a": [1.0, NaN], "b": {"c": 1e400, "c": 2e400}, "d": 99999999999999999999}')
    assert [problem.pointer for problem in problems] == ["/a/1", "/b/c", "/b/c", "/d"]


def test_fields_that_the_caller_checks_are_left_alone() -> None:
    value, problems = loads(b'{"pixels": [NaN, 1e999], "run_id": NaN}', unchecked=("pixels",))
    assert len(value["pixels"]) == 2 and [problem.place for problem in problems] == ["run_id"]


LONG_LIST = "[" + "0.5," * LONG + "0.25]"


@pytest.mark.parametrize(
    "text",
    [
        '{"run_id": "r_1", "batch": %s}',
        '{"batch": [%s, %s]}',
        '{"batch": [true, null, %s]}',
        '{"batch": %s, "batch": [1]}',
        '{"batch": %s, "run_id": "a", "run_id": "b"}',
        '{"batch": %s, "run_id": "\\ud800"}',
        '{"batch": [NaN, %s]}',
        '{"batch": [1e999, %s]}',
        '{"batch": [{"a": 1, "a": 2}, %s]}',
        '{"batch": ["0.5", %s]}',
        '{"other": [NaN, %s]}',
        '{"other": %s, "deep": {"a": 1, "a": 2}}',
        "[%s]",
    ],
)
def test_long_bodies_are_read_quickly_and_as_strictly(text: str) -> None:
    """What the quick way lets through is what the other one finds."""
    body = text.replace("%s", LONG_LIST).encode()
    assert _numbers(body, ("batch",)) is None or loads(body, ("batch",))[0] == json.loads(body)
    quick, slow = loads(body, ("batch",)), loads(text.replace("%s", "[0.5]").encode(), ("batch",))
    assert [str(problem) for problem in quick[1]] == [str(problem) for problem in slow[1]]


def test_the_quick_way_is_taken_where_nothing_can_be_wrong() -> None:
    assert _numbers(b'{"run_id": "r_1", "batch": [[0.5]]}', ("batch",)) == {"run_id": "r_1", "batch": [[0.5]]}
    for other in (b'{"batch": [], "batch": [0]}', b'{"b": [1]}', b'{"batch": ["1"]}', b'{"batch": {"a": 1}}', b"[1]"):
        assert _numbers(other, ("batch",)) is None


def test_rows_of_numbers_are_told_from_lists_of_anything() -> None:
    rows = _numbers(b'{"batch": [[1, 0.5], [0]]}', ("batch",))
    assert rows is not None and isinstance(rows["batch"], Rows) and set(map(type, rows["batch"][0])) == {int, float}
    for other in (b"[[true]]", b"[[null, 0]]", b"[0.5]", b"[[[0.5]]]"):
        anything = _numbers(b'{"batch": %s}' % other, ("batch",))
        assert anything is not None and type(anything["batch"]) is list


def test_malformed_text_is_one_sentence() -> None:
    with pytest.raises(Malformed, match="line 1, column 1: Expecting value"):
        loads(b"<html>")


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


def test_errors_carry_every_problem_with_its_pointer(client: FlaskClient) -> None:
    body = {
        "architecture": {**NET, "layers": [{"type": "linear", "in": 5, "out": 10.5}, {"type": "conv2", "a": 1}]},
        "hyperparams": {"epochs": 0, "train_split": 1, "optimizer": {"type": "sgd", "lr": -1}, "epoch": 3},
        "name": 7,
        "queue": "yes",
        "model_id": "../x",
        "architectur": {},
    }
    answer = client.post("/api/train", json=body)
    assert answer.status_code == 400
    pointers = [problem["pointer"] for problem in answer.json["errors"]]
    assert set(pointers) >= {
        "/architecture/layers/0/out",
        "/architecture/layers/1/type",
        "/hyperparams/epochs",
        "/hyperparams/train_split",
        "/hyperparams/optimizer/lr",
        "/hyperparams/epoch",
        "/name",
        "/queue",
        "/model_id",
        "/architectur",
    }
    assert all(problem["detail"] for problem in answer.json["errors"])
    assert "Did you mean 'architecture'?" in answer.json["errors"][0]["detail"]
    assert answer.json["error"].startswith("architectur: ")


def test_a_bug_is_a_500_that_shows_only_an_id(
    app: Flask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object, **__: object) -> Any:
        raise RuntimeError("the secret of /etc")

    monkeypatch.setattr(parts(app).store, "each_model", broken)
    with caplog.at_level(logging.ERROR, logger="lamina.http"):
        answer = app.test_client().get("/api/models")
    assert answer.status_code == 500
    found = re.fullmatch(r"Internal error; the server log has the details under (e_[0-9a-f]{12})", answer.json["error"])
    assert found and found[1] in caplog.text and "the secret" in caplog.text


def test_a_full_disk_is_a_507_with_the_reason_and_the_cure(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> Any:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(parts(app).store, "create_model", full)
    answer = app.test_client().post("/api/train", json=BODY)
    assert answer.status_code == 507
    assert "cannot be written (database or disk is full), so nothing was changed: make room" in answer.json["error"]


def test_local_pages_may_ask_and_others_may_not(client: FlaskClient) -> None:
    for origin, allowed in (
        ("http://localhost:5173", True),
        ("http://127.0.0.1:8000", True),
        ("http://localhost", True),
        ("http://localhost.evil.example", False),
        ("https://example.org", False),
        ("null", False),
    ):
        answer = client.get("/api/models", headers={"Origin": origin})
        assert ("Access-Control-Allow-Origin" in answer.headers) is allowed, origin
        preflight = client.options("/api/train", headers={"Origin": origin, "Access-Control-Request-Method": "POST"})
        assert ("Access-Control-Allow-Origin" in preflight.headers) is allowed, origin


def test_every_request_is_one_line_without_what_a_client_could_forge(
    client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="lamina.http"):
        client.get("/api/runs/r_1%0AERROR%20forged")
    [line] = [record.getMessage() for record in caplog.records if record.name == "lamina.http"]
    assert re.fullmatch(r"GET /api/runs/r_1%0AERROR%20forged 404 \d+\.\d ms run=r_1%0AERROR%20forged", line)
