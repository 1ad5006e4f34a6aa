"""/api/runs/<id>/weights: whole, in part, not at all; and never what is not the weights that were recorded."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import re
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from flask import Flask
from werkzeug.test import TestResponse

from backend.actions import weights
from tests.backend.conftest import BODY, Trained, finish, offline_app, parts, wait_running

FORMS = ["", "?format=npz", "?format=npz&layout=torch", "?format=safetensors", "?format=safetensors&layout=torch"]


def ask(trained: Trained, form: str = "", **headers: str) -> TestResponse:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return trained.client.get(f"/api/runs/{trained.run_id}/weights{form}", headers=named, buffered=True)


def test_without_a_format_it_is_the_kept_file(trained: Trained) -> None:
    answer = ask(trained)
    path = parts(trained.app).checkpoints.weights(trained.run_id)
    assert answer.data == path.read_bytes()
    assert answer.headers["X-Checksum-Sha256"] == parts(trained.app).store.get_run(trained.run_id).weights_sha256  # type: ignore[union-attr]
    assert ask(trained, "?format=msgpack&layout=flax").data == answer.data


@pytest.mark.parametrize("form", FORMS)
def test_headers_tell_what_it_is(trained: Trained, form: str) -> None:
    answer = ask(trained, form)
    sha256 = hashlib.sha256(answer.data).hexdigest()
    assert answer.status_code == 200 and answer.content_length == len(answer.data)
    assert answer.headers["ETag"] == f'"{sha256}"' and answer.headers["X-Checksum-Sha256"] == sha256
    assert answer.headers["Accept-Ranges"] == "bytes" and answer.mimetype == "application/octet-stream"
    layout = ".torch" if "torch" in form else ""
    format = form.partition("format=")[2].partition("&")[0] or "msgpack"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{trained.run_id}{layout}.{format}"'
    head = trained.client.head(f"/api/runs/{trained.run_id}/weights{form}")
    assert head.status_code == 200 and not head.data and dict(head.headers) == dict(answer.headers)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("asked", "part"),
    [
        ("bytes=0-0", slice(0, 1)),
        ("bytes=0-", slice(0, None)),
        ("bytes=300-50000", slice(300, 50_001)),
        ("bytes=51000-99999999", slice(51_000, None)),
        ("bytes=-7", slice(-7, None)),
        ("bytes=-99999999", slice(0, None)),
    ],
)
def test_a_range_is_that_part(trained: Trained, form: str, asked: str, part: slice) -> None:
    whole, answer = ask(trained, form), ask(trained, form, Range=asked)
    assert answer.status_code == 206 and answer.data == whole.data[part] and answer.content_length == len(answer.data)
    first, end, size = part.indices(len(whole.data))[0], part.indices(len(whole.data))[1], len(whole.data)
    assert answer.headers["Content-Range"] == f"bytes {first}-{end - 1}/{size}"
    assert answer.headers["ETag"] == whole.headers["ETag"]


@pytest.mark.parametrize("asked", ["bytes=5-3", "bytes=0-1,3-4", "lines=1-2", "bytes=-", "bytes=x-", "all"])
def test_what_is_no_single_range_gets_the_whole_file(trained: Trained, asked: str) -> None:
    assert ask(trained, Range=asked).status_code == 200


@pytest.mark.parametrize("asked", ["bytes=99999999-", "bytes=-0"])
def test_a_range_without_bytes_is_a_416(trained: Trained, asked: str) -> None:
    answer = ask(trained, Range=asked)
    size = ask(trained).content_length
    assert answer.status_code == 416 and answer.headers["Content-Range"] == f"bytes */{size}"
    assert f"has {size} bytes" in answer.json["error"]


@pytest.mark.parametrize("form", FORMS)
def test_who_has_the_file_gets_none_of_it(trained: Trained, form: str) -> None:
    etag = ask(trained, form).headers["ETag"]
    for named in (etag, f'"x", {etag}', f"W/{etag}", "*"):
        answer = ask(trained, form, If_None_Match=named, Range="bytes=0-1")
        assert answer.status_code == 304 and not answer.data and answer.headers["ETag"] == etag
    assert ask(trained, form, If_None_Match='"x"').status_code == 200
    assert ask(trained, form, If_Match=etag).status_code == 200
    assert ask(trained, form, If_Match='"x"').status_code == 412
    assert ask(trained, form, Range="bytes=0-1", If_Range=etag).status_code == 206
    for other in ('"x"', f"W/{etag}", "Sat, 28 Nov 2026 12:00:00 GMT"):
        assert ask(trained, form, Range="bytes=0-1", If_Range=other).status_code == 200, "the whole new file"


def test_both_formats_have_the_same_arrays(trained: Trained) -> None:
    archive = np.load(io.BytesIO(ask(trained, "?format=npz&layout=torch").data))
    arrays = safetensors.numpy.load(ask(trained, "?format=safetensors&layout=torch").data)
    assert set(arrays) == set(archive) - {"metadata"}
    assert all(np.array_equal(archive[name], array) for name, array in arrays.items())
    assert arrays["linear_0.weight"].shape == (16, 784)
    about = json.loads(archive["metadata"].item())
    assert about["dataset"] == "digits" and about["classes"] == list("0123456789")
    assert about["precision"] == "float32" and about["input_mean"] == arrays["input.mean"].tolist()


@pytest.mark.parametrize(
    ("form", "message"),
    [
        (
            "?layout=torch",
            "format: msgpack is the file as it is kept, with layout=flax; with layout=torch ask for npz or safetensors",
        ),
        ("?format=pt", 'format: must be one of msgpack, npz, safetensors, got "pt"'),
        ("?layout=keras", "layout: must be one of flax, torch"),
        ("?fromat=npz", "is not a query parameter.*format"),
    ],
)
def test_wrong_queries_are_a_400(trained: Trained, form: str, message: str) -> None:
    answer = ask(trained, form)
    assert answer.status_code == 400
    assert re.search(message, answer.json["error"]), answer.json


def test_runs_without_weights(app: Flask, held: threading.Event) -> None:
    client = app.test_client()
    unknown = client.get("/api/runs/r_nope/weights")
    assert unknown.status_code == 404 and "r_nope" in unknown.json["error"]
    run_id = client.post("/api/train", json=BODY).json["run_id"]
    wait_running(client, run_id)
    running = client.get(f"/api/runs/{run_id}/weights?format=npz")
    assert running.status_code == 409 and "is running; only a succeeded run has weights" in running.json["error"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, str, Any]]:
    app = offline_app(tmp_path_factory.mktemp("damaged"))
    client = app.test_client()
    run_id = client.post("/api/train", json=BODY).json["run_id"]
    finish(client, run_id)
    yield client, run_id, parts(app).checkpoints.weights(run_id)
    parts(app).close()


@pytest.mark.parametrize("form", FORMS)
def test_damaged_weights_are_refused_before_a_byte_is_sent(finished: tuple[Any, str, Any], form: str) -> None:
    client, run_id, path = finished
    url, whole = f"/api/runs/{run_id}/weights{form}", path.read_bytes()
    good = client.get(url, buffered=True)
    for spoilt in (whole[:-1] + bytes([whole[-1] ^ 1]), whole[:100], b"", whole + b"\0"):
        path.write_bytes(spoilt)
        answer = client.get(url, headers={"Range": "bytes=0-5"}, buffered=True)
        assert answer.status_code == 500 and "damaged" in answer.json["error"] and str(path) not in answer.json["error"]
        assert client.get(url, headers={"If-None-Match": good.headers["ETag"]}, buffered=True).status_code == 500
    path.unlink()
    assert client.get(url).status_code == 409
    path.symlink_to("/etc/passwd")
    assert client.get(url).status_code == 500
    path.unlink()
    path.write_bytes(whole)
    again = client.get(url, buffered=True)
    assert again.data == good.data and again.headers["ETag"] == good.headers["ETag"]


def test_beyond_so_many_downloads_a_503(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    places = parts(trained.app).downloads
    assert places.taken == 0, "every answer so far has given its place back"
    monkeypatch.setattr(places, "most", 1)
    with trained.client.get(f"/api/runs/{trained.run_id}/weights?format=npz") as first:
        refused = ask(trained)
        assert refused.status_code == 503 and refused.headers["Retry-After"] == "5"
        assert trained.client.head(f"/api/runs/{trained.run_id}/weights").status_code == 200
        assert first.status_code == 200
    assert ask(trained).status_code == 200 and places.taken == 0


def test_a_large_file_is_converted_once_for_all_who_are_sent_it(
    trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, root = f"/api/runs/{trained.run_id}/weights{FORMS[-1]}", parts(trained.app).checkpoints.root
    expected, before = ask(trained, FORMS[-1]).data, set(root.iterdir())
    monkeypatch.setattr(weights, "SMALL", 0)
    made: list[object] = []
    monkeypatch.setattr(weights, "_without_name", lambda *args: made.append(without_name(*args)) or made[-1])
    with trained.client.get(path) as first, trained.client.get(path, headers={"Range": "bytes=100-"}) as second:
        assert len(made) == 1 and set(root.iterdir()) == before, "it has no name"
        assert first.data == expected and second.data == expected[100:]
    assert made[0].closed  # type: ignore[attr-defined]
    assert ask(trained, FORMS[-1]).data == expected and len(made) == 2
    assert trained.client.head(path).status_code == 200 and len(made) == 2


def test_without_room_to_convert_it_a_507(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(weights, "SMALL", 0)
    monkeypatch.setattr(weights, "_without_name", full)
    assert ask(trained, "?format=npz").status_code == 507
    assert ask(trained).status_code == 200 and parts(trained.app).downloads.taken == 0


without_name = weights._without_name
