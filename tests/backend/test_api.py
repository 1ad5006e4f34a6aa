"""Every field of every request, and every id in a path, with what an attacker or a broken client would send there."""

from __future__ import annotations

import json
import re
import threading
import time
from copy import deepcopy
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from flask import Flask
from flask.testing import FlaskClient

from backend.web.openapi import OPERATIONS
from tests.backend.conftest import BODY, LAYERS, NET, PARAMS, Trained, offline_app, parts

RAW = "raw:"  # marks a value that goes into the body as it is
VALUES: list[Any] = [
    *(None, True, False, 0, -1, 1.5, -0.0, 10**15, 2**63 - 1, 2**63, -(2**63) - 1, 1e308, -1e308, 5e-324),
    *(
        "",
        " ",
        "\0",
        "\u202e",
        "\U0001f4a5",
        "a\nb",
        "a\r\nSet-Cookie: x=1",
        "x" * 100_000,
        "NaN",
        "{}",
        "%s%n",
        "${x}",
    ),
    *("../../etc/passwd", "/etc/passwd", "..", ".", "C:\\x", "state/../../etc/passwd", "file:///etc/passwd", "r_\0"),
    *(
        [],
        [[]],
        {},
        {"": {}},
        {"__proto__": {}},
        {"type": {"type": "relu"}},
        [0] * 50_000,
        [None],
        [{}],
        {"a" * 5000: 1},
    ),
    *(f"{RAW}NaN", f"{RAW}Infinity", f"{RAW}1e400", f"{RAW}-1e400", f"{RAW}{'9' * 6000}", f"{RAW}1e-400"),
    *(f'{RAW}"\\ud800"', f'{RAW}"\\udc00\\ud800"', f'{RAW}{{"a": 1, "a": 2}}', f"{RAW}{'[' * 5000}{']' * 5000}"),
    *(f"{RAW}{'[' * 60}{']' * 60}", f"{RAW}{'{' + chr(34) + 'a' + chr(34) + ':'}" * 3000, f"{RAW}0x10", f"{RAW}01"),
]
IDS = [
    *("..", ".", "%2e%2e", "%2e%2e%2f%2e%2e%2fetc%2fpasswd", "..%2f..%2fstate", "%2fetc%2fpasswd", "%00", "r_1%00.x"),
    *(
        "%ff%fe",
        "%ed%a0%80",
        "%0d%0aSet-Cookie:%20x=1",
        "x" * 3000,
        "%F0%9F%92%A5",
        "r_1%2fweights.msgpack",
        "~",
        "$HOME",
    ),
    *("%25%32%65", "'; DROP TABLE runs;--", "*", "lamina.sqlite3", "compiled", "r_" + "0" * 32, "%20", "save"),
]
LAYER_FIELDS = [(index, name) for index, layer in enumerate(LAYERS) for name in layer]
PLACES: list[tuple[str | int, ...]] = [
    *((name,) for name in ("architecture", "hyperparams", "model_id", "name", "description", "queue", "resume_from")),
    *(("architecture", name) for name in (*NET, "input_shape")),
    *(("architecture", "layers", index) for index in range(len(LAYERS))),
    *(("architecture", "layers", index, name) for index, name in LAYER_FIELDS),
    *(("hyperparams", name) for name in (*PARAMS, "loss", "seed", "train_split", "shuffle", "precision", "keep_best")),
    *(("hyperparams", "optimizer", name) for name in ("type", "lr", "betas", "eps", "weight_decay", "momentum")),
]
SECRETS = re.compile(r"Traceback|File \"|/tmp/|/etc/passwd|site-packages|\.py\b|root:")


def body_with(base: Any, place: tuple[str | int, ...], value: Any) -> bytes:
    """`base` as JSON with `value` at a place."""
    body = deepcopy(base)
    inside = body
    for part in place[:-1]:
        inside = inside[part]
    inside[place[-1]] = value
    text = json.dumps(body, allow_nan=False) if not isinstance(value, str) or not value.startswith(RAW) else ""
    if not text:
        inside[place[-1]] = "@here@"
        text = json.dumps(body).replace('"@here@"', value.removeprefix(RAW))
    return text.encode("utf-8", "surrogatepass")


def check(answer: Any, sent: str, *, allowed: tuple[int, ...]) -> None:
    """A documented answer, as one JSON object with a bounded sentence, that tells nothing of this machine."""
    assert answer.status_code in allowed, (answer.status_code, sent[:300], answer.text[:500])
    if answer.status_code >= 400:
        error = answer.get_json()["error"]
        assert isinstance(error, str) and 0 < len(error) < 1500
        leaks = [found for found in SECRETS.findall(answer.text) if found not in sent]
        assert not leaks, answer.text[:500]
    for name, value in answer.headers:
        assert "\n" not in value and name != "Set-Cookie"


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/api/train", "/api/models", "/api/models/m_1/save"])
@pytest.mark.parametrize("place", PLACES, ids=lambda place: ".".join(map(str, place)))
def test_any_value_in_any_place_of_a_definition(
    app: Flask, held: threading.Event, path: str, place: tuple[str | int, ...]
) -> None:
    client = app.test_client()
    for value in VALUES:
        body = body_with({**BODY, "queue": True} if path == "/api/train" else BODY, place, value)
        answer = client.post(path, data=body, content_type="application/json")
        check(answer, body.decode("utf-8", "replace"), allowed=(200, 201, 202, 400, 404, 409))
    assert client.get("/api/models").status_code == 200 and client.get("/api/runs?limit=10000").status_code == 200


@pytest.mark.parametrize("place", ["run_id", "model_id", "pixels", "batch"])
def test_any_value_in_any_place_of_a_question(trained: Trained, place: str) -> None:
    base = {"run_id": trained.run_id, **({} if place == "batch" else {"pixels": [0.5] * 784})}
    for value in VALUES:
        body = body_with(base, (place,), value)
        answer = trained.client.post("/api/infer", data=body, content_type="application/json")
        check(answer, body.decode("utf-8", "replace"), allowed=(200, 400, 404, 409, 422))


@pytest.mark.parametrize("place", ["saved_model_path", "trained", "run_id", "name", "description"])
def test_any_value_in_any_place_of_a_promotion(trained: Trained, place: str) -> None:
    for path, base in (("/api/models", {}), ("/api/models/save", {"run_id": "r_none"})):
        for value in VALUES:
            body = body_with(base, (place,), value)
            answer = trained.client.post(path, data=body, content_type="application/json")
            check(answer, body.decode("utf-8", "replace"), allowed=(200, 201, 400, 404, 409))


@pytest.mark.parametrize(("method", "rule"), [operation for operation in OPERATIONS if "<" in operation[1]])
def test_any_id_in_any_path(trained: Trained, method: str, rule: str) -> None:
    folder = parts(trained.app).settings.state_dir
    before = sorted(folder.rglob("*"))
    for identifier in IDS:
        path = re.sub(r"<\w+>", lambda _, text=identifier: text, rule)
        body = {"json": {}} if method in ("POST", "PATCH") else {}
        answer = trained.client.open(path, method=method, **body)
        check(answer, unquote(path), allowed=(400, 404, 405))
    assert sorted(folder.rglob("*")) == before


def test_a_link_in_the_state_directory_is_not_asked(trained: Trained, tmp_path: Path) -> None:
    (tmp_path / "weights.msgpack").write_bytes(b"not yours")
    folder = parts(trained.app).settings.state_dir / "r_link"
    folder.symlink_to(tmp_path)
    try:
        path = f"state/{folder.name}/weights.msgpack"
        answer = trained.client.post("/api/models", json={"model_id": trained.model_id, "saved_model_path": path})
        assert answer.status_code == 400 and "must be null or" in answer.get_json()["error"]
        assert trained.client.delete("/api/runs/r_link").status_code == 404
        assert (tmp_path / "weights.msgpack").read_bytes() == b"not yours"
    finally:
        folder.unlink()


@pytest.mark.parametrize(
    "body",
    [
        "{" + ",".join(f'"name{index}": 0' for index in range(100_000)) + ', "name1": 0}',
        '{"hyperparams": {' + ",".join(f'"name{index}": 0' for index in range(100_000)) + "}}",
        '{"architecture": {"layers": [{' + ",".join(f'"name{index}": 0' for index in range(100_000)) + "}]}}",
        "{" + ",".join(f'"name{index}": 0' for index in range(100_000)) + "}",
        '{"name": [' + "NaN," * 100_000 + "0]}",
        '{"' + "x" * 1_000_000 + '": 0, "hyperparams": {"' + "y" * 1_000_000 + '": 0}}',
    ],
    ids=["repeated", "hyperparams", "layer", "fields", "not finite", "long names"],
)
def test_a_body_full_of_problems_is_answered_quickly_and_briefly(client: FlaskClient, body: str) -> None:
    began = time.process_time()
    answer = client.post("/api/models", data=body, content_type="application/json")
    assert answer.status_code == 400 and len(answer.get_json()["errors"]) <= 100
    assert len(answer.text) < 100 * 1000 and time.process_time() - began < 5


HEADERS = [
    *("Accept", "Accept-Charset", "Accept-Encoding", "Accept-Language", "Authorization", "Cache-Control", "Cookie"),
    *("Connection", "Content-Encoding", "Content-Language", "Content-Length", "Content-MD5", "Content-Range"),
    *("Content-Type", "Date", "DNT", "Expect", "Forwarded", "From", "Host", "If-Match", "If-Modified-Since"),
    *("If-None-Match", "If-Range", "If-Unmodified-Since", "Last-Event-ID", "Max-Forwards", "Origin", "Pragma"),
    *("Range", "Referer", "TE", "Trailer", "Transfer-Encoding", "Upgrade", "User-Agent", "Via", "X-Forwarded-For"),
    *("X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Forwarded-Proto", "X-HTTP-Method-Override"),
    *("Access-Control-Request-Headers", "Access-Control-Request-Method", "Access-Control-Request-Private-Network"),
]
HEADER_VALUES = [
    *("", " ", ",", ";", "=", '"', "'", "\\", "*", "null", "-1", "1e999", "9" * 5000, "\x80\xff", "\t", "%ff%00"),
    *("http://[::1", "http://[", "http://]", "//", "http://a:b", "http://\u2100", "::1]", "[v1.x]:80", "a:99999999"),
    *("bytes=0-", "bytes=9-1", "bytes=x", "W/", 'W/"', "Bearer", "Bearer \xff", "Basic !!!", "Basic /w==", "Digest a"),
    *("text/html;q=x", "text/html;q=1e400", "*/*;q=-nan", "a/b;q=0.5;c", "a" * 3000 + "/b", "a/b; c*=utf-8''%ff"),
    *(
        "a/b; c*=nope'x'y",
        "a/b; c*0=x; c*1=y",
        "Thu, 99 Foo 99999 99:99:99",
        "gzip;q=x",
        "de-\xff",
        "\ud83d".encode("utf-8", "surrogatepass").decode("latin-1"),
    ),
    *('application/openmetrics-text; version="1"', "text/plain; version=x", "multipart/form-data", "text/event-stream"),
]


@pytest.mark.slow
@pytest.mark.parametrize("name", HEADERS)
def test_any_value_of_any_header(trained: Trained, name: str) -> None:
    """No library that reads a header when somebody asks for it breaks an answer."""
    key = name.upper().replace("-", "_")
    asked = [
        *(("GET", f"/api/runs/{trained.run_id}/metrics"), ("GET", "/metrics"), ("OPTIONS", "/api/train")),
        *(("POST", "/api/train/r_none/cancel"), ("POST", "/api/infer"), ("GET", f"/api/runs/{trained.run_id}/events")),
    ]
    for value in HEADER_VALUES:
        for method, path in asked:
            environ = {"HTTP_ORIGIN": "http://localhost", "HTTP_ACCESS_CONTROL_REQUEST_METHOD": "POST"}
            environ["HTTP_AUTHORIZATION"] = "Bearer x"
            environ[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"] = value
            answer = trained.client.open(path, method=method, environ_overrides=environ)
            assert answer.status_code < 500, (name, value, method, path, answer.text)
            answer.close()


def test_an_origin_that_is_none_may_change_nothing(client: FlaskClient) -> None:
    for origin in ("http://[::1", "http://[", "http://]:80", "http://\u2100", "", "http://localhost\\.evil.example"):
        answer = client.post("/api/train/x/cancel", environ_overrides={"HTTP_ORIGIN": origin})
        assert answer.status_code == 403 and "LAMINA_CORS_ORIGINS" in answer.get_json()["error"], origin


def test_the_largest_body_of_layers_is_refused_quickly(client: FlaskClient) -> None:
    """A megabyte of layers is not looked at one by one."""
    body = {"architecture": {"layers": [{"type": "relu"}] * 60_000}}
    answer = client.post("/api/models", json=body)
    assert answer.status_code == 400 and "must have 1 to 256 layers, got 60000" in answer.get_json()["error"]


def test_limits_are_settings(tmp_path: Path) -> None:
    app = offline_app(tmp_path, max_layers=3, max_memory_gb=1, max_body_mb=1)
    client = app.test_client()
    try:
        four = client.post("/api/train", json=BODY)
        assert four.status_code == 400 and "must have 1 to 3 layers, got 4" in four.get_json()["error"]
        assert client.post("/api/models", json=BODY).status_code == 400
        wide = {"input_size": 784, "layers": [{"type": "linear", "out": 100_000}, {"type": "linear", "out": 10}]}
        answer = client.post("/api/train", json={**BODY, "architecture": wide})
        rule = r"needs \d\.\d GB of parameters, optimizer state and activations; 0\.9 GB are available"
        assert answer.status_code == 400 and re.search(rule, answer.get_json()["error"]), answer.get_json()
        assert client.post("/api/models", json={"name": "x" * (1 << 20)}).status_code == 413
    finally:
        parts(app).close()
