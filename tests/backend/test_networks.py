"""Whatever happens to the files of a run: no wrong prediction, no promotion, and a sentence without a path."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask import Flask
from flask.testing import FlaskClient
from flax import serialization

from backend.state.records import Json
from tests.backend.conftest import BODY, finish, offline_app, parts

PIXELS = [round(0.5 + 0.5 * np.sin(at / 9), 3) for at in range(784)]


class Pair:
    """A server with two succeeded runs of one architecture, so that their files can be swapped."""

    def __init__(self, app: Flask) -> None:
        self.app, self.client = app, app.test_client()
        self.runs = [self.train(seed) for seed in (1, 2)]
        self.files = [parts(app).checkpoints.weights(run["run_id"]) for run in self.runs]
        self.contents = [file.read_bytes() for file in self.files]
        self.answers = [self.infer(run) for run in self.runs]
        assert self.answers[0] != self.answers[1]

    def train(self, seed: int) -> Json:
        sent = {**BODY, "hyperparams": {**BODY["hyperparams"], "seed": seed, "epochs": 1}}
        return finish(self.client, self.client.post("/api/train", json=sent).json["run_id"])

    def infer(self, run: Json) -> list[float]:
        answer = self.client.post("/api/infer", json={"run_id": run["run_id"], "pixels": PIXELS})
        assert answer.status_code == 200, answer.json
        probabilities: list[float] = answer.json["probabilities"]
        return probabilities

    def restore(self) -> None:
        for file, content in zip(self.files, self.contents, strict=True):
            file.write_bytes(content)
        assert [self.infer(run) for run in self.runs] == self.answers

    def refused(self) -> list[tuple[int, str]]:
        """What the first run answers to who asks it and who promotes it: never a prediction, never a path."""
        run_id, model_id = self.runs[0]["run_id"], self.runs[0]["model_id"]
        before = self.client.get(f"/api/models/{model_id}").json
        requests = {
            "/api/infer": {"run_id": run_id, "pixels": PIXELS},
            f"/api/models/{model_id}/save": {"run_id": run_id},
            "/api/models/save": {"run_id": run_id, "name": "kept"},
        }
        answers = [self.client.post(path, json=body) for path, body in requests.items()]
        for answer in answers:
            assert set(answer.json) == {"error"}
            assert "Traceback" not in answer.text and str(self.files[0].parent.parent) not in answer.text
        now = self.client.get(f"/api/models/{model_id}").json
        assert (now["trained"], now["saved_run_id"], now["name"]) == (False, None, before["name"])
        return [(answer.status_code, answer.json["error"]) for answer in answers]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    app = offline_app(tmp_path_factory.mktemp("pair"))
    yield Pair(app)
    parts(app).close()


@pytest.fixture(params=["asked before", "never asked"])
def pair(shared: Pair, request: pytest.FixtureRequest) -> Iterator[Pair]:
    """Networks that are in memory when their file is damaged, and such that are not."""
    if request.param == "never asked":
        parts(shared.app).predictors.forget([run["run_id"] for run in shared.runs])
    yield shared
    shared.restore()


def flip(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 0x10]) + content[at + 1 :]


DAMAGES: dict[str, Callable[[bytes, bytes], bytes]] = {
    "a truncated file": lambda own, other: own[:-7],
    "half a file": lambda own, other: own[: len(own) // 2],
    "an empty file": lambda own, other: b"",
    "a bit in the first array": lambda own, other: flip(own, 200),
    "a bit in the middle": lambda own, other: flip(own, len(own) // 2),
    "the last bit": lambda own, other: flip(own, len(own) - 1),
    "something behind the end": lambda own, other: own + b"\0",
    "another run's file": lambda own, other: other,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_answers_nothing(pair: Pair, damage: str) -> None:
    pair.files[0].write_bytes(DAMAGES[damage](*pair.contents))
    for status, error in pair.refused():
        assert status == 500
        assert error.startswith("the weight file weights.msgpack is damaged: its SHA-256 is not the one recorded")
        assert error.endswith("restore it from a copy or train again")
    assert pair.infer(pair.runs[1]) == pair.answers[1]


def test_swapped_files_answer_nothing(pair: Pair, tmp_path: Path) -> None:
    os.replace(pair.files[0], tmp_path / "between")
    os.replace(pair.files[1], pair.files[0])
    shutil.move(tmp_path / "between", pair.files[1])
    assert {status for status, _ in pair.refused()} == {500}


@pytest.mark.parametrize("how", ["file", "folder"])
def test_files_that_are_gone_are_a_conflict(pair: Pair, how: str, tmp_path: Path) -> None:
    place = pair.files[0].parent if how == "folder" else pair.files[0]
    place.rename(tmp_path / "away")
    try:
        for status, error in pair.refused():
            assert status == 409 and re.fullmatch(r"The weights of run r_\w+ are gone from the disk; train .*", error)
    finally:
        (tmp_path / "away").rename(place)


def test_a_damage_that_keeps_size_and_time_of_writing_is_noticed(pair: Pair) -> None:
    found = pair.files[0].stat()
    pair.files[0].write_bytes(flip(pair.contents[0], 300))
    os.utime(pair.files[0], ns=(found.st_atime_ns, found.st_mtime_ns))
    assert {status for status, _ in pair.refused()} == {500}


CHANGES: dict[str, tuple[Callable[[Any], Any], str]] = {
    "a missing array": (lambda t: t["params"]["linear_0"].pop("bias"), "params/linear_0/bias is missing"),
    "a missing layer": (lambda t: t["params"].pop("linear_2"), "params/linear_2/bias is missing"),
    "another array": (lambda t: t["params"].update(x={"w": np.zeros(1, np.float32)}), "params/x/w is unknown"),
    "another shape": (lambda t: t["params"]["linear_0"].update(bias=np.zeros(17, np.float32)), "must be float32[16]"),
    "another type": (lambda t: t["params"]["linear_0"].update(bias=np.zeros(16, np.float64)), "got float64[16]"),
    "a number": (lambda t: t["params"]["linear_0"].update(bias=0.5), "got float"),
    "no statistics": (lambda t: t.update(params=[1, 2]), "params/linear_0/bias is missing"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_wrong_arrays_are_refused_even_with_the_right_hash(pair: Pair, change: str) -> None:
    edit, message = CHANGES[change]
    tree = serialization.msgpack_restore(pair.contents[0])
    edit(tree)
    record(pair, serialization.msgpack_serialize(tree))
    try:
        for status, error in pair.refused():
            assert status == 500
            assert "the weight file weights.msgpack does not fit the architecture: " in error and message in error
    finally:
        record(pair, pair.contents[0])


def test_what_is_no_msgpack_is_refused_even_with_the_right_hash(pair: Pair) -> None:
    record(pair, b"\xc1" + pair.contents[0])
    try:
        assert all("is not readable as msgpack" in error for _, error in pair.refused())
    finally:
        record(pair, pair.contents[0])


def record(pair: Pair, content: bytes) -> None:
    """Write the first run's weights, and their hash into its record."""
    pair.files[0].write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    parts(pair.app).store.update_run(pair.runs[0]["run_id"], weights_sha256=digest)


def test_a_damaged_description_costs_nothing(pair: Pair) -> None:
    """run.json explains a folder to people; the server reads the record in its store."""
    described = pair.files[0].with_name("run.json")
    content = described.read_bytes()
    for damaged in (b"{", b"", b"\xff" * 100, content.replace(b"digits", b"mnist")):
        described.write_bytes(damaged)
        assert pair.infer(pair.runs[0]) == pair.answers[0]
    described.unlink()
    assert pair.infer(pair.runs[0]) == pair.answers[0]
    described.write_bytes(content)


def test_a_touched_but_equal_file_answers_as_before(pair: Pair) -> None:
    os.utime(pair.files[0])
    assert pair.infer(pair.runs[0]) == pair.answers[0]


def test_a_client_of_a_damaged_store_gets_a_sentence(tmp_path: Path) -> None:
    app = offline_app(tmp_path)
    client: FlaskClient = app.test_client()
    services = parts(app)
    for number in range(50):
        client.post("/api/models", json={"name": f"model {number}", "description": "x" * 500})
    services.store._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    path = tmp_path / "state" / "lamina.sqlite3"
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
    services.store._readers.clear()
    answer = client.get("/api/models")
    assert answer.status_code == 500
    assert re.match(r"The store failed \(database disk image is malformed\); the server log", answer.json["error"])
    path.write_bytes(content)
    services.close()
