"""An interrupted run goes on as itself, a finished one as a new one; both end as if nothing had happened."""

from __future__ import annotations

import copy
import hashlib
import importlib
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from backend.events.log import EventLog
from backend.services import Services
from backend.state.checkpoints import Checkpoints
from backend.state.records import Json
from backend.state.store import Store
from backend.training import executor
from tests.backend.conftest import BODY, NET, finish, offline_app, parts, wait_running
from tests.backend.samples import DEADLINE, MLP, eventually, read_frame, untimed


def body(**hyperparams: Any) -> Json:
    """A network with everything that a resume must carry over: moments, running statistics, dropout, an odd batch."""
    return {
        "architecture": {**NET, "layers": MLP},
        "hyperparams": {**BODY["hyperparams"], "epochs": 4, "max_samples": 250, **hyperparams},
    }


class Crash(BaseException):
    """The process is gone: nothing after this point happens."""


class Host:
    """Servers over one folder, one after the other, some of which die."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.monkeypatch = folder, monkeypatch
        self.start()

    def start(self) -> None:
        self.app = offline_app(self.folder)
        self.client: FlaskClient = self.app.test_client()

    @property
    def services(self) -> Services:
        return parts(self.app)

    def train(self, body: Json) -> str:
        answer = self.client.post("/api/train", json=body)
        assert answer.status_code == 202, answer.json
        run_id: str = answer.json["run_id"]
        return run_id

    def dies(self, owner: Any, name: str, *, on: int, after: bool, body: Json) -> str:
        """Train until the `on`-th call of `owner.name`, before or after which the training thread dies; start anew."""
        calls, original = [0], getattr(owner, name)

        def fatal(*arguments: Any, **fields: Any) -> Any:
            calls[0] += 1
            if calls[0] == on and not after:
                raise Crash
            result = original(*arguments, **fields)
            if calls[0] == on:
                raise Crash
            return result

        with self.monkeypatch.context() as patch:
            patch.setattr(owner, name, fatal)
            patch.setattr("threading.excepthook", lambda _: None)
            run_id = self.train(body)
            thread = self.services.runs._thread
            eventually(lambda: not thread.is_alive())
        services = self.services  # as the kernel would: the lock is free, nothing else is told
        services.warmer.close()
        assert services.runs._state_lock is not None
        services.runs._state_lock.close()
        services.store.close()
        self.start()
        return run_id

    def events(self, run_id: str) -> list[tuple[int | None, str, Json]]:
        frames = (read_frame(frame) for frame in self.services.log.follow(run_id, after=0))
        return [frame for frame in frames if frame[1] not in ("retry", ":", "progress")]

    def resume(self, run_id: str, **fields: Any) -> Json:
        answer = self.client.post(f"/api/runs/{run_id}/resume", **fields)
        assert answer.status_code == 202, answer.json
        accepted: Json = answer.json
        return accepted

    def refused(self, run_id: str) -> str:
        answer = self.client.post(f"/api/runs/{run_id}/resume")
        assert answer.status_code == 409, answer.json
        error: str = answer.json["error"]
        return error


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    host = Host(tmp_path, monkeypatch)
    yield host
    host.services.close()


def same(one: Json, other: Json) -> None:
    """Two records of runs that trained alike."""
    assert untimed(one["metrics"]) == untimed(other["metrics"])
    for name in ("state", "test_accuracy", "test_loss", "weights_sha256", "sample_predictions", "best_epoch", "epoch"):
        assert one[name] == other[name], name


POINTS = {
    "before the data is there": ("backend.training.executor", "load", 1, False),
    "before the first state is kept": (Checkpoints, "keep", 1, False),
    "between a state and its metric": (Checkpoints, "keep", 2, True),
    "between a metric and the next state": (Checkpoints, "keep", 3, False),
    "between a part of a state and its name": ("os", "fsync", 6, True),
    "after the last state": (Checkpoints, "keep", 4, True),
    "before the weights are written": ("backend.state.checkpoints", "save_weights", 1, False),
    "between the weights and their name": ("backend.state.checkpoints", "save_weights", 1, True),
    "between the weights' name and the record": (Checkpoints, "write", 1, True),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    "schedule",
    [
        {"type": "cosine", "warmup_epochs": 2.5},
        {"type": "reduce_on_plateau", "patience": 0, "threshold": 1, "factor": 0.5},
    ],
    ids=lambda schedule: schedule["type"],
)
def test_a_crash_keeps_the_curve_of_the_learning_rate(host: Host, schedule: Json) -> None:
    """In a warm-up, and with what a plateau has seen."""
    whole = finish(host.client, host.train(body(lr_schedule=schedule)))
    run_id = host.dies(Checkpoints, "keep", on=2, after=True, body=body(lr_schedule=schedule))
    host.resume(run_id)
    same(finish(host.client, run_id), whole)
    assert len({metric["learning_rate"] for metric in whole["metrics"]}) > 2


@pytest.mark.slow
@pytest.mark.parametrize("point", POINTS)
def test_a_crash_at_a_point_costs_nothing(host: Host, point: str, monkeypatch: pytest.MonkeyPatch) -> None:
    owner, name, on, after = POINTS[point]
    if isinstance(owner, str):
        owner = importlib.import_module(owner)
    whole = finish(host.client, host.train(body()))
    run_id = host.dies(owner, name, on=on, after=after, body=body())

    cut = host.client.get(f"/api/runs/{run_id}").json
    assert (cut["state"], cut["resumable"], cut["saved_model_path"]) == ("failed", True, None)
    assert cut["error"].startswith("interrupted: the server stopped while this run was in epoch")
    assert f"POST /api/runs/{run_id}/resume" in cut["error"]
    before = host.events(run_id)
    assert before[-1][2]["state"] == "failed"
    folder = host.services.checkpoints.folder(run_id)
    assert not folder.exists() or [entry.name for entry in folder.iterdir()] == ["training.msgpack"]
    assert host.client.post("/api/infer", json={"run_id": run_id, "pixels": [0.0] * 784}).status_code == 409

    accepted = host.resume(run_id)
    assert (accepted["run_id"], accepted["state"]) == (run_id, "queued")
    assert len(cut["metrics"]) <= accepted["epoch"] <= len(cut["metrics"]) + 1
    record = finish(host.client, run_id)
    same(record, whole)
    assert record["metrics"][: len(cut["metrics"])] == cut["metrics"]  # not told again, and not otherwise
    events = host.events(run_id)
    assert [event[0] for event in events] == list(range(1, len(events) + 1))
    assert events[: len(before) - 1] == before[:-1]
    assert events[len(before) - 1][2] == {
        **before[-1][2],
        **{"state": "interrupted", "superseded": True, "was": "failed"},
    }
    assert events[len(before)][2]["resumed"] is True
    assert [event[2]["state"] for event in events[len(before) :] if event[1] == "state"] == [
        "queued",
        "running",
        "succeeded",
    ]
    weights = host.services.checkpoints.weights(run_id)
    assert hashlib.sha256(weights.read_bytes()).hexdigest() == record["weights_sha256"]
    assert sorted(entry.name for entry in folder.iterdir()) == ["run.json", "training.msgpack", "weights.msgpack"]


def test_a_cancelled_run_goes_on_and_may_be_cancelled_again(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = finish(host.client, host.train(body(keep_best=True)))
    publish, run_id = EventLog.publish, ""

    def stopping(self: EventLog, run_id: str, name: str, data: Json, **fields: Any) -> int:
        if name == "metric" and data["epoch"] < 3:
            assert host.client.post(f"/api/train/{run_id}/cancel").status_code == 202
        return publish(self, run_id, name, data, **fields)

    monkeypatch.setattr(EventLog, "publish", stopping)
    run_id = host.train(body(keep_best=True))
    for epoch in (1, 2):
        record = finish(host.client, run_id)
        assert (record["state"], record["epoch"], record["resumable"]) == ("cancelled", epoch, True)
        assert host.resume(run_id, json={"queue": True})["epoch"] == epoch
    record = finish(host.client, run_id)
    same(record, whole)
    assert record["best_epoch"] == min(record["metrics"], key=lambda m: m["val_loss"])["epoch"]
    told = [event[2] for event in host.events(run_id) if event[1] == "state"]
    assert [data.get("was") for data in told if data.get("superseded")] == ["cancelled", "cancelled"]
    assert [data.get("resumed", False) for data in told if data["state"] == "queued"] == [False, True, True]
    states = [data["state"] for data in told]
    assert states == [*["queued", "running", "interrupted"] * 2, "queued", "running", "succeeded"]


@pytest.mark.slow
def test_going_on_under_other_conditions_is_told(host: Host) -> None:
    """On fewer cores, say, or with another version of JAX: the last digits of its weights are others."""
    run_id = host.dies(EventLog, "publish", on=1, after=True, body=body())
    here = host.client.get(f"/api/runs/{run_id}").json["device"]
    elsewhere = here.rpartition(", ")[0] + ", 96 cores"
    host.services.store.update_run(run_id, device=elsewhere, kernels="products")
    chosen: list[str] = []
    train = executor.fit
    host.monkeypatch.setattr(executor, "fit", lambda *a, **how: chosen.append(how["kernels"]) or train(*a, **how))
    accepted = host.resume(run_id)
    *before, warning = accepted["warnings"]
    assert f"device was {elsewhere} and is {here}" in warning and "may differ in their last digits" in warning
    record = finish(host.client, run_id)
    assert record["state"] == "succeeded" and record["device"] == here and record["warnings"] == [*before, warning]
    assert record["kernels"] == "products" and "kernels" not in warning
    assert warning in [event[2]["message"] for event in host.events(run_id) if event[1] == "log"]

    versions = {**record["versions"], "jax": "0.0.1"}
    host.services.store.update_run(run_id, versions=versions)
    more = host.client.post("/api/train", json={"resume_from": run_id, "hyperparams": {"epochs": 5}})
    warning = more.json["warnings"][-1]
    assert f"jax was 0.0.1 and is {record['versions']['jax']}" in warning and "device" not in warning
    assert "kernels was products and is auto" in warning
    continued = finish(host.client, more.json["run_id"])
    assert (continued["state"], continued["kernels"]) == ("succeeded", "auto")
    assert chosen == ["products", "auto"], "a run goes on as it began; a new one as the server is told"


def test_what_cannot_be_resumed_says_why_and_what_to_do(host: Host) -> None:
    assert host.client.post("/api/runs/r_0/resume").status_code == 404
    succeeded = host.train(body(epochs=1))
    finish(host.client, succeeded)
    assert f'"resume_from": "{succeeded}"' in host.refused(succeeded)
    diverged = host.train(body(optimizer={"type": "sgd", "lr": 1000}, epochs=30))
    if finish(host.client, diverged)["state"] == "failed":
        assert "was not interrupted but failed (training diverged" in host.refused(diverged)
        assert not host.services.checkpoints.folder(diverged).exists()
    wrong = host.client.post(f"/api/runs/{succeeded}/resume", json={"queue": 1, "epochs": 3})
    assert wrong.status_code == 400 and len(wrong.json["errors"]) == 2


@pytest.mark.parametrize("damage", ["flip", "truncate", "delete"])
def test_a_damaged_state_is_not_gone_on_from(host: Host, damage: str) -> None:
    cut = host.dies(Checkpoints, "keep", on=2, after=True, body=body())
    done = host.train(body(epochs=1))
    finish(host.client, done)
    for run_id in (cut, done):
        path = host.services.checkpoints.training(run_id)
        content = path.read_bytes()
        path.write_bytes(content[:-9] if damage == "truncate" else content[:-9] + b"\0" * 9)
        if damage == "delete":
            path.unlink()
    assert "cannot be resumed: the training state training.msgpack" in host.refused(cut)
    answer = host.client.post("/api/train", json={"resume_from": done, "hyperparams": {"epochs": 2}})
    assert answer.status_code == 409
    assert "training state" in answer.json["error"] and "POST /api/train" in answer.json["error"]
    assert host.client.get(f"/api/runs/{cut}").json["state"] == "failed"


def test_the_state_of_another_run_or_of_another_time_is_not_gone_on_from(host: Host) -> None:
    cut, other = (host.dies(Checkpoints, "keep", on=3, after=True, body=body(seed=seed)) for seed in (1, 2))
    path = host.services.checkpoints.training(cut)
    own = path.read_bytes()
    path.write_bytes(host.services.checkpoints.training(other).read_bytes())
    assert f"cannot be resumed: the training state training.msgpack belongs to {other}" in host.refused(cut)
    path.write_bytes(own)
    host.resume(cut)
    assert finish(host.client, cut)["state"] == "succeeded"
    path.write_bytes(own)  # of the third epoch, as in a folder that was restored from a copy
    answer = host.client.post("/api/train", json={"resume_from": cut, "hyperparams": {"epochs": 6}})
    assert answer.status_code == 409
    assert (
        "the training state training.msgpack is that of epoch 3, and the record that of epoch 4" in answer.json["error"]
    )


def test_a_resumed_run_waits_in_the_queue_across_a_restart(host: Host, held: Any) -> None:
    first = host.train(body())
    wait_running(host.client, first)
    second = host.train({**body(), "queue": True})
    assert host.client.post(f"/api/train/{second}/cancel").status_code == 202
    assert host.client.post(f"/api/runs/{second}/resume").status_code == 409  # busy
    assert host.resume(second, json={"queue": True})["queue_position"] == 1
    assert "is queued already" in host.refused(second)
    assert "is running already" in host.refused(first)
    host.services.close()
    host.start()
    eventually(lambda: host.client.get(f"/api/runs/{second}").json["state"] == "running", within=DEADLINE)
    assert host.client.get(f"/api/runs/{first}").json["resumable"] is True
    host.client.post(f"/api/train/{second}/cancel")
    finish(host.client, second)


def test_more_epochs_later_end_as_if_asked_for_at_once(host: Host) -> None:
    whole = finish(host.client, host.train(body(epochs=5, keep_best=True)))
    source = host.train(body(epochs=3, keep_best=True))
    before = finish(host.client, source)
    answer = host.client.post("/api/train", json={"resume_from": source, "hyperparams": {"epochs": 5}})
    assert answer.status_code == 202, answer.json
    assert (answer.json["resumed_from"], answer.json["epoch"]) == (source, 3)
    assert answer.json["model_id"] == before["model_id"] and answer.json["run_id"] != source
    later = finish(host.client, answer.json["run_id"])
    same(later, whole | {"metrics": whole["metrics"][3:]})
    assert [metric["epoch"] for metric in later["metrics"]] == [4, 5]
    assert later["resumed_from"] == source and later["hyperparams"] == whole["hyperparams"]
    assert host.client.get(f"/api/runs/{source}").json == before


def test_a_continued_run_that_is_cut_off_is_resumed_too(host: Host) -> None:
    whole = finish(host.client, host.train(body(epochs=5)))
    source = host.train(body(epochs=2))
    finish(host.client, source)
    run_id = host.dies(
        Checkpoints,
        "keep",
        on=3,  # the first is the copy of the source's state
        after=True,
        body={"resume_from": source, "hyperparams": {"epochs": 5}},
    )
    host.services.checkpoints.remove(source)
    host.resume(run_id)
    later = finish(host.client, run_id)
    assert [metric["epoch"] for metric in later["metrics"]] == [3, 4, 5]
    assert later["weights_sha256"] == whole["weights_sha256"]


def test_what_cannot_be_continued_names_its_place(host: Host) -> None:
    source = host.train(body(epochs=2))
    finish(host.client, source)
    other = copy.deepcopy(body()["architecture"])
    other["layers"][0]["out"], other["layers"][4]["in"] = 13, 13
    sent = {"epochs": 2, "optimizer": {"type": "sgd"}}
    answer = host.client.post("/api/train", json={"resume_from": source, "architecture": other, "hyperparams": sent})
    assert answer.status_code == 400
    assert [problem["pointer"] for problem in answer.json["errors"]] == [
        "/architecture",
        "/hyperparams/epochs",
        "/hyperparams/optimizer",
    ]
    assert "more than the 2 epochs" in answer.json["errors"][1]["detail"]
    assert "must stay adam" in answer.json["errors"][2]["detail"]
    assert host.client.post("/api/train", json={"resume_from": source}).status_code == 400  # no more epochs
    assert host.client.post("/api/train", json={"resume_from": "r_0"}).status_code == 404
    assert host.client.post("/api/train", json={"resume_from": 7}).status_code == 400
    stated = host.client.post("/api/train", json={"resume_from": source, "model_id": "m_other"})
    assert stated.status_code == 409 and "is a run of model" in stated.json["error"]
    assert len(host.client.get("/api/runs").json["runs"]) == 1


def test_other_numbers_may_differ_and_other_samples_are_warned_of(host: Host) -> None:
    source = host.train(body(epochs=1))
    finish(host.client, source)
    sent = {"epochs": 2, "seed": 7, "optimizer": {"learning_rate": 0.5}}
    answer = host.client.post("/api/train", json={"resume_from": source, "hyperparams": sent})
    assert answer.status_code == 202, answer.json
    assert any("hyperparams.seed: differs" in warning for warning in answer.json["warnings"])
    record = finish(host.client, answer.json["run_id"])
    assert answer.json["hyperparams"] == record["hyperparams"]
    assert host.client.get(f"/api/models/{record['model_id']}").json["hyperparams"]["epochs"] == 1  # as it was stored
    assert record["metrics"][0]["learning_rate"] == 0.5
    assert record["hyperparams"]["optimizer"]["type"] == "adam"


def test_a_deleted_model_takes_its_training_states_along(host: Host) -> None:
    run_id = host.train(body(epochs=1))
    record = finish(host.client, run_id)
    assert host.services.checkpoints.training(run_id).is_file()
    assert host.client.delete(f"/api/models/{record['model_id']}").status_code == 200
    assert not host.services.checkpoints.folder(run_id).exists()


@pytest.mark.parametrize(("name", "on"), [("keep", 3), ("write", 1)])
def test_a_full_disk_costs_no_epoch(host: Host, name: str, on: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = finish(host.client, host.train(body()))
    calls, original = [0], getattr(Checkpoints, name)

    def full(*arguments: Any) -> Any:
        calls[0] += 1
        if calls[0] == on:
            raise OSError(28, "No space left on device", "/home/secret")
        return original(*arguments)

    monkeypatch.setattr(Checkpoints, name, full)
    record = finish(host.client, host.train(body()))
    assert record["state"] == "failed" and record["resumable"] and "secret" not in record["error"]
    assert "(No space left on device). Free some space" in record["error"]
    assert [metric["epoch"] for metric in record["metrics"]] == ([1, 2] if name == "keep" else [1, 2, 3, 4])
    host.resume(record["run_id"])
    same(finish(host.client, record["run_id"]), whole)


def test_a_store_that_takes_no_metric_costs_no_epoch(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = finish(host.client, host.train(body()))
    append = Store.append_event

    def full(self: Store, run_id: str, name: str, data: Json, **fields: Any) -> int:
        if name == "metric" and data["epoch"] == 3:
            raise sqlite3.OperationalError("database or disk is full")
        return append(self, run_id, name, data, **fields)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "append_event", full)
        record = finish(host.client, host.train(body()))
    assert record["state"] == "failed" and record["resumable"]
    assert "cannot be written (database or disk is full). Free some space" in record["error"]
    assert [metric["epoch"] for metric in record["metrics"]] == [1, 2]
    host.resume(record["run_id"])
    same(finish(host.client, record["run_id"]), whole)


def test_a_run_that_a_rule_has_ended_tells_so_and_goes_on_with_more_patience(host: Host) -> None:
    rule = {"patience": 2, "min_delta": 9}  # nothing is so much better
    source = host.train(body(epochs=9, early_stopping=rule, target={"metric": "val_loss", "value": 9}))
    ended = finish(host.client, source)
    assert (ended["state"], ended["epoch"], ended["stopped_by"]["rule"]) == ("succeeded", 1, "target")
    assert ended["target_reached"]["epoch"] == 1 and ended["metrics"][-1]["progress"] == 1
    _, _, last = host.events(source)[-1]
    assert last["stopped_by"] == ended["stopped_by"] and last["target_reached"] == ended["target_reached"]
    assert f"{ended['stopped_by']['rule']}" in host.client.get("/api/runs.csv").text
    same_again = host.client.post("/api/train", json={"resume_from": source})
    assert (
        same_again.status_code == 400
        and "hyperparams.target.value: would end this run at once" in same_again.json["error"]
    )
    further = {"resume_from": source, "hyperparams": {"target": None}}
    stopped = finish(host.client, host.train(further))
    assert (stopped["epoch"], stopped["stopped_by"]["rule"]) == (3, "early_stopping")
    again = host.client.post("/api/train", json={**further, "resume_from": stopped["run_id"]})
    assert again.status_code == 400 and "early_stopping.patience" in again.json["error"]
    assert "send more than 2, or null as early_stopping" in again.json["error"]
    patient = {"resume_from": stopped["run_id"], "hyperparams": {"early_stopping": {"patience": 4}}}
    assert finish(host.client, host.train(patient))["epoch"] == 5
