"""Single bits flipped in a realistic store: nothing fails, nothing else is told, and what is missing has a name."""

from __future__ import annotations

import random
import re
import sqlite3
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from backend.config import ConfigError
from backend.events.log import EventLog
from backend.events.wire import state_data
from backend.server.serve import check_state_dir
from backend.state.integrity import Damaged
from backend.state.records import Json
from backend.state.store import STORE_FILE, Store
from backend.telemetry import Telemetry
from backend.web.app import create_app
from tests.backend.conftest import parts
from tests.backend.samples import a_model, add_run

OURS = {"warnings", "saved_model_exists", "last_event_id"}  # what may differ without being a fact of the store


def a_state(folder: Path) -> bytes:
    """The file of a store with models, promoted ones among them, and runs with many kinds of ends."""
    store = Store(folder / STORE_FILE)
    store._writer.execute("PRAGMA synchronous = OFF")
    chance = random.Random(1)
    for number in range(8):
        run_id, model_id = f"r_{chance.getrandbits(128):032x}", f"m_{number % 4}"
        if number < 4:
            store.create_model(a_model(model_id, hyperparams={"epochs": 3}, description="x" * 100 * number))
        add_run(store, run_id, model_id=model_id, warnings=["careful"] * (number % 2))
        store.transition(run_id, "running", data=state_data(run_id, "running"), versions={"jax": "1"}, device="cpu")
        for epoch in range(1, 5):
            metric = {"run_id": run_id, "epoch": epoch, "val_loss": chance.random()}
            store.append_event(run_id, "metric", metric, epoch=epoch)
            store.append_event(run_id, "log", {"run_id": run_id, "level": "info", "message": "hello"})
        if number % 4 == 3:
            store.transition(run_id, "failed", data=state_data(run_id, "failed"), error="no", resumable=True)
            continue
        samples: list[Json] = [{"grid": [[chance.randrange(256) for _ in range(28)] for _ in range(28)], "label": 1}]
        reached = {"test_accuracy": 0.5 + number / 100, "sample_predictions": samples}
        weights = {"saved_model_path": f"state/{run_id}/weights.msgpack", "weights_sha256": "ab" * 32}
        store.transition(run_id, "succeeded", data=state_data(run_id, "succeeded", **reached), **reached, **weights)
        if number % 3 == 0:
            path = weights["saved_model_path"]
            store.update_model(model_id, trained=True, saved_run_id=run_id, saved_model_path=path)
    store.close()
    return (folder / STORE_FILE).read_bytes()


@dataclass
class Answers:
    """All that a server says over one store."""

    told: dict[str, tuple[int, Any]]
    warned: bool

    def wrong(self, truth: Answers) -> list[str]:
        return [f"{path}: {why}" for path, was in truth.told.items() if (why := self._wrong(self.told[path], was))]

    def _wrong(self, now: tuple[int, Any], was: tuple[int, Any]) -> str | None:
        status, told = now
        if status == 404:
            return None if "that can be read" in told["error"] else "denied"
        if status != 200:
            return f"{status} {told}"
        if isinstance(told, str):
            frames, known = [frame for frame in told.split("\n\n") if "\n:" not in frame], was[1].split("\n\n")
            return "false" if not set(frames) <= set(known) else None if self.warned or frames == known else "missing"
        facts, known = facts_of(told), facts_of(was[1])
        return "false" if not within(facts, known) else None if self.warned or facts == known else "missing"


def facts_of(answer: Any) -> Any:
    if isinstance(answer, dict):
        return {name: facts_of(value) for name, value in answer.items() if name not in OURS}
    return [facts_of(value) for value in answer] if isinstance(answer, list) else answer


def within(some: Any, all_of_it: Any, name: str = "models") -> bool:
    """Whether `some` is `all_of_it`, but for records and metrics that are left out."""
    if isinstance(some, dict) and isinstance(all_of_it, dict):
        return some.keys() == all_of_it.keys() and all(within(some[key], all_of_it[key], key) for key in some)
    if name in ("models", "runs", "metrics") and isinstance(some, list):
        others = iter(all_of_it)
        return all(any(within(one, other, "") for other in others) for one in some)
    return bool(some == all_of_it)


class Asked:
    """A server that is put over one store after the other, as a start would."""

    def __init__(self, app: Flask, folder: Path) -> None:
        self.app, self.folder = app, folder

    def start(self, content: bytes) -> Store:
        for name in (STORE_FILE, f"{STORE_FILE}-wal", f"{STORE_FILE}-shm"):
            (self.folder / name).unlink(missing_ok=True)
        (self.folder / STORE_FILE).write_bytes(content)
        check_state_dir(self.folder)
        store = Store(self.folder / STORE_FILE)
        store._writer.execute("PRAGMA synchronous = OFF")
        try:
            store.verify()
            store.moved_to("state")
            services = replace(parts(self.app), store=store, log=EventLog(store), telemetry=Telemetry())
            services.compile_ahead.newest(store)
            self.client = create_app(services).test_client()
        except BaseException:
            store.close()
            raise
        return store

    def answers(self, models: list[str], runs: list[str]) -> Answers:
        paths = ["/api/models", "/api/runs", *(f"/api/models/{model_id}" for model_id in models)]
        paths += [f"/api/runs/{run_id}{what}" for run_id in runs for what in ("", "/metrics", "/events")]
        told = {path: self._get(path) for path in paths}
        return Answers(told, bool(self.client.get("/api/health").json["warnings"]))

    def _get(self, path: str) -> tuple[int, Any]:
        with self.client.get(path) as answer:
            return answer.status_code, answer.json if answer.is_json else answer.text


@pytest.fixture
def asked(app: Flask, tmp_path: Path) -> Asked:
    (tmp_path / "flipped").mkdir()
    return Asked(app, tmp_path / "flipped")


def survives(asked: Asked, content: bytes, places: list[int]) -> int:
    """Flip one bit after the other; how many starts were refused."""
    store = asked.start(content)
    models, runs = [model.model_id for _, model in store.each_model()], [run.run_id for run in store.list_runs()]
    truth = asked.answers(models, runs)
    assert not truth.warned and len(runs) == 8
    store.close()
    refused = 0
    for place in places:
        flipped = bytearray(content)
        flipped[place // 8] ^= 1 << place % 8
        try:
            store = asked.start(bytes(flipped))
        except (ConfigError, Damaged) as refusal:
            assert "damaged" in str(refusal) or "schema" in str(refusal) or "cannot" in str(refusal), (place, refusal)
            refused += 1
            continue
        wrong = asked.answers(models, runs).wrong(truth)
        store.close()
        assert not wrong, (place, wrong[:3])
    return refused


def test_no_flipped_bit_fails_a_list_or_tells_other_facts(asked: Asked, tmp_path: Path) -> None:
    content = a_state(tmp_path / "made")
    places = random.Random(3).sample(range(8 * len(content)), 10)
    assert survives(asked, content, places) <= 2


@pytest.mark.slow
def test_no_flipped_bit_of_many_fails_a_list_or_tells_other_facts(asked: Asked, tmp_path: Path) -> None:
    content = a_state(tmp_path / "made")
    places = random.Random(4).sample(range(8 * len(content)), 600)
    assert survives(asked, content, places) <= 40  # the pages of the schema, and what the file begins with


def damage(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(statement)
        connection.commit()


def test_a_damaged_run_is_left_out_named_and_can_be_deleted(app: Flask, tmp_path: Path) -> None:
    client, store = app.test_client(), parts(app).store
    for number in range(3):
        add_run(store, f"r_{number}")
        store.transition(f"r_{number}", "running", data={})
        store.transition(f"r_{number}", "succeeded", data={}, test_accuracy=0.5 + number / 10)
    damage(tmp_path / "state" / STORE_FILE, "UPDATE runs SET test_accuracy = 0.99 WHERE run_id = 'r_1'")
    listed = client.get("/api/runs").json
    assert [run["run_id"] for run in listed["runs"]] == ["r_2", "r_0"]
    [warning] = listed["warnings"]
    assert warning.startswith("the record of run r_1 in lamina.sqlite3 is damaged and left out: stop the server")
    assert client.get("/api/health").json["warnings"] == [warning]
    model = client.get("/api/models/m_1").json
    assert (len(model["runs"]), model["highest_accuracy"], model["warnings"]) == (2, 0.7, [warning])
    for path in ("", "/metrics", "/events"):
        refused = client.get(f"/api/runs/r_1{path}")
        assert refused.status_code == 404 and "There is no run 'r_1' that can be read" in refused.json["error"]
    assert client.delete("/api/runs/r_1").status_code == 200
    assert client.get("/api/health").json["warnings"] == []
    assert client.get("/api/models/m_1").json["runs_total"] == 2


def test_a_damaged_event_is_left_out_and_the_client_reads_on(app: Flask, tmp_path: Path) -> None:
    client, store = app.test_client(), parts(app).store
    add_run(store, "r_1")
    store.transition("r_1", "running", data=state_data("r_1", "running"))
    for epoch in (1, 2, 3):
        store.append_event("r_1", "metric", {"epoch": epoch}, epoch=epoch)
    store.transition("r_1", "failed", data=state_data("r_1", "failed"))
    damage(tmp_path / "state" / STORE_FILE, "UPDATE events SET data = '{\"epoch\": 9}' WHERE id = 4")
    damage(tmp_path / "state" / STORE_FILE, "UPDATE events SET name = 'log' WHERE id = 6")
    with client.get("/api/runs/r_1/events") as stream:
        frames = stream.text.split("\n\n")
    assert [frame for frame in frames if "damaged" in frame] == [
        f"id: {number}\n: event {number} is damaged in the store and left out" for number in (4, 6)
    ]
    assert client.get("/api/runs/r_1/events", headers={"Last-Event-ID": "6"}).status_code == 204
    for path in ("/api/runs/r_1", "/api/runs/r_1/metrics"):
        answer = client.get(path).json
        assert [metric["epoch"] for metric in answer["metrics"]] == [1, 3]
        assert "2 events of run r_1 in lamina.sqlite3 are damaged and left out (id 4, 6)" in answer["warnings"][0]


def test_ids_that_clients_make_up_are_no_damage(app: Flask, tmp_path: Path) -> None:
    client, store = app.test_client(), parts(app).store
    add_run(store, "r_1")
    store.transition("r_1", "cancelled", data={})
    damage(tmp_path / "state" / STORE_FILE, "UPDATE runs SET epoch = 7")
    assert client.get("/api/runs").json["runs"] == []
    for path in ("/api/runs/r_2", "/api/runs/r_2/metrics", "/api/runs/r_2/events"):
        assert client.get(path).status_code == 404
    client.post("/api/infer", json={"run_id": "r_2", "pixels": []})
    [warning] = client.get("/api/health").json["warnings"]
    assert "record of run r_1" in warning


def test_a_run_whose_model_is_not_told_right_can_be_deleted(app: Flask, tmp_path: Path) -> None:
    add_run(parts(app).store, "r_1")
    damage(tmp_path / "state" / STORE_FILE, "UPDATE runs SET model_id = 'm_0'")
    assert app.test_client().delete("/api/runs/r_1").status_code == 200


def test_one_damaged_id_with_any_number_of_events_missing_behind_it_costs_little(app: Flask, tmp_path: Path) -> None:
    store = parts(app).store
    add_run(store, "r_1")
    damage(tmp_path / "state" / STORE_FILE, f"UPDATE events SET id = {2**40}")
    assert store.append_event("r_1", "metric", {"epoch": 1}) == 2**40 + 1
    answer = app.test_client().get("/api/runs/r_1").json
    assert answer["metrics"] == [{"epoch": 1}]
    assert "1000 or more events of run r_1 in lamina.sqlite3 are damaged and left out (id 1, 2" in answer["warnings"][0]
    store.verify()


def test_nothing_is_written_over_a_damaged_record(app: Flask, tmp_path: Path) -> None:
    """It would get a new checksum, and be believed."""
    client, store = app.test_client(), parts(app).store
    add_run(store, "r_1")
    store.transition("r_1", "cancelled", data={})
    damage(tmp_path / "state" / STORE_FILE, "UPDATE models SET name = 'other'")
    for answer in (
        client.post("/api/models", json={"model_id": "m_1", "description": "new"}),
        client.get("/api/models/m_1"),
        client.post("/api/train", json={"model_id": "m_1"}),
    ):
        assert answer.status_code == 404 and "There is no model 'm_1' that can be read" in answer.json["error"]
    assert client.get("/api/models").json == []
    assert client.delete("/api/models/m_1").status_code == 200


def test_a_run_of_a_damaged_model_is_not_resumed_behind_a_refusal(app: Flask, tmp_path: Path) -> None:
    client, store = app.test_client(), parts(app).store
    add_run(store, "r_1")
    store.transition("r_1", "cancelled", data={}, resumable=True)
    damage(tmp_path / "state" / STORE_FILE, "UPDATE models SET name = 'other'")
    assert client.post("/api/runs/r_1/resume").status_code == 404
    assert client.get("/api/runs/r_1").json["state"] == "cancelled"


def test_a_look_at_every_row_finds_what_reading_would(tmp_path: Path) -> None:
    path = tmp_path / STORE_FILE
    path.write_bytes(a_state(tmp_path / "made"))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE models SET description = CAST(x'ff' AS TEXT) WHERE model_id = 'm_2'")
        connection.execute("UPDATE runs SET test_loss = 1 WHERE sequence = 3")
        (run_id,) = connection.execute("SELECT run_id FROM runs WHERE sequence = 5").fetchone()
        connection.execute("DELETE FROM events WHERE run_id = ? AND id IN (1, 4)", (run_id,))
        connection.execute("UPDATE events SET data = '{' WHERE run_id = ? AND id = 6", (run_id,))
        connection.commit()
    looked, read = Store(path), Store(path)
    looked.verify()
    models, runs = list(read.each_model()), read.list_runs()
    assert (len(models), len(runs), len(looked.unreadable.sentences())) == (3, 7, 3)
    assert looked.unreadable.sentences() == read.unreadable.sentences()
    assert "(id 1, 4, 6)" in looked.unreadable.of_run(run_id)[0]
    looked.close()
    read.close()


def flipped(content: bytes, before: bytes, after: bytes) -> bytes:
    assert content.count(before) == 1
    return content.replace(before, after)


def test_a_record_is_deleted_although_its_indexes_do_not_know_it(tmp_path: Path) -> None:
    path = tmp_path / STORE_FILE
    made = Store(path)
    add_run(made, "r_1")
    made.transition("r_1", "cancelled", data={})
    made.close()
    path.write_bytes(flipped(path.read_bytes(), b"r_1m_1cancelled", b"r_1m_1canselled"))
    store = Store(path)
    assert store.list_runs() == [] and "record of run r_1" in store.unreadable.sentences()[0]
    store.delete_run("r_1")
    assert store.unreadable.sentences() == [] and store.get_run("r_1") is None and store.events("r_1") == []
    store.verify()
    store.close()


def test_an_order_that_is_damaged_is_made_again(tmp_path: Path) -> None:
    path = tmp_path / STORE_FILE
    path.write_bytes(a_state(tmp_path / "made"))
    with closing(sqlite3.connect(path)) as connection:
        (run_id,) = connection.execute("SELECT run_id FROM runs WHERE sequence = 5").fetchone()
    content = path.read_bytes()
    entry = re.escape(run_id.encode()) + rb"\x05(?!log|metric)"  # in the index, not the key of an event
    index, count = re.subn(entry, run_id[:-1].encode() + b"~\x05", content)
    assert count == 1
    path.write_bytes(index)
    store = Store(path)
    assert store.get_run(run_id) is None
    store.verify()
    assert store.get_run(run_id) is not None and store.unreadable.sentences() == []
    store.close()


def test_a_whole_store_warns_of_nothing(client: FlaskClient) -> None:
    assert client.get("/api/health").json["warnings"] == [] and client.get("/api/runs").json["warnings"] == []
