"""What runs tell of how they were computed: each one what it can, whatever became of it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from pydantic import TypeAdapter

from backend.state.records import RunRecord, ServerEnvironment
from backend.training import account as module
from backend.training.account import Account
from backend.training.limits import Limits
from nets.errors import TrainingError
from nets.facts import Timing
from nets.training.events import Compiled, Event
from nets.training.fit import fit
from tests.backend.conftest import BODY, PARAMS, Trained, finish, parts
from tests.backend.samples import MLP, Json, a_run, eventually
from tests.robustness.hosts import DEADLINE, Host, body

FACTS = ("compilation", "timing", "peak_memory", "environment", "dataset_sha256", "request_sha256")


def timing(*firsts: int, steps: Any = None) -> Timing:
    return {
        "first_epochs": list(firsts),
        "first_epoch_seconds": 2.0 if firsts else None,
        "median_epoch_seconds": None,
        "step_seconds": steps,
    }


def begun(record: RunRecord | None = None) -> Account:
    account = Account()
    account.begin(record or a_run(), Limits())
    return account


def test_a_run_that_went_well_tells_all(trained: Trained) -> None:
    run = trained.client.get(f"/api/runs/{trained.run_id}").json
    assert run["compilation"]["kind"] in ("cold", "disk", "process", "mixed")
    assert [each["name"] for each in run["compilation"]["programs"]] == ["train", "evaluate"]
    assert run["compilation"]["seconds"] == run["compile_seconds"]
    assert run["timing"]["first_epochs"] == [1]
    assert run["timing"]["first_epoch_seconds"] == run["metrics"][0]["epoch_time"]
    assert run["timing"]["median_epoch_seconds"] == run["metrics"][1]["epoch_time"]
    assert run["timing"]["step_seconds"]["steps"] > 0
    assert run["peak_memory"]["bytes"] > 10**7 and run["peak_memory"]["of"] == "process"
    assert run["environment"]["settings"]["kernels"] == run["kernels"]
    assert len(run["dataset_sha256"]) == len(run["request_sha256"]) == 64
    described = json.loads((parts(trained.app).checkpoints.weights(trained.run_id).parent / "run.json").read_text())
    assert {name: described[name] for name in FACTS if name != "peak_memory"} == {
        name: run[name] for name in FACTS if name != "peak_memory"
    }


def test_lists_are_short_unless_asked(trained: Trained) -> None:
    (run,) = trained.client.get("/api/runs?limit=1").json["runs"]
    assert not set(FACTS) & run.keys()
    (run,) = trained.client.get(f"/api/runs?limit=1&include={','.join(FACTS)}").json["runs"]
    assert all(run[name] for name in FACTS)


def test_tables_of_runs_have_it_flat(trained: Trained) -> None:
    run = trained.client.get(f"/api/runs/{trained.run_id}").json
    (cells,) = csv.DictReader(io.StringIO(trained.client.get("/api/runs.csv?limit=1").text))
    assert cells["compilation.kind"] == run["compilation"]["kind"]
    assert float(cells["compilation.seconds"]) == run["compile_seconds"]
    assert float(cells["timing.step_seconds.p50"]) == run["timing"]["step_seconds"]["p50"]
    assert int(cells["peak_memory.bytes"]) == run["peak_memory"]["bytes"]
    assert cells["environment.processor.model"] == run["environment"]["processor"]["model"]
    assert cells["dataset_sha256"] == run["dataset_sha256"] and cells["timing.first_epochs"] == "[1]"


def test_equal_requests_and_data_have_equal_digests(client: FlaskClient, trained: Trained) -> None:
    """In another server, too; and the second run takes what the first one has compiled."""
    body = {**BODY, "name": "shared"}
    runs = [
        finish(client, client.post("/api/train", json=each).json["run_id"]) for each in (body, {**body, "tags": []})
    ]
    before = trained.client.get(f"/api/runs/{trained.run_id}").json
    assert runs[0]["request_sha256"] == before["request_sha256"] != runs[1]["request_sha256"]
    assert {run["dataset_sha256"] for run in runs} == {before["dataset_sha256"]}
    assert runs[1]["compilation"]["kind"] == "process" and runs[1]["compilation"]["process"]["count"] == 2


def test_a_run_that_diverged_tells_what_it_can(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def diverging(*run: Any, **options: Any) -> Iterator[Event]:
        for event in fit(*run, **options):
            yield event
            if isinstance(event, Compiled):
                raise TrainingError("training diverged")

    monkeypatch.setattr("backend.training.executor.fit", diverging)
    run = finish(client, client.post("/api/train", json=BODY).json["run_id"])
    assert run["state"] == "failed" and run["compilation"]["kind"] and run["environment"] and run["request_sha256"]
    assert run["peak_memory"]["bytes"] and run["timing"] is None


def test_a_cancelled_run_that_goes_on_marks_both_beginnings(client: FlaskClient) -> None:
    long = {**BODY, "hyperparams": {**PARAMS, "epochs": 100_000}}
    run_id = client.post("/api/train", json=long).json["run_id"]

    def record() -> Json:
        answer: Json = client.get(f"/api/runs/{run_id}").json
        return answer

    def stopped(after: int) -> Json:
        eventually(lambda: record()["epoch"] > after)
        client.post(f"/api/train/{run_id}/cancel")
        return finish(client, run_id)

    first = stopped(2)
    assert first["state"] == "cancelled" and first["timing"]["first_epochs"] == [1]
    assert first["compilation"]["kind"] and first["peak_memory"]["bytes"] and first["environment"]
    client.post(f"/api/runs/{run_id}/resume")
    second = stopped(first["epoch"] + 2)
    one, other = second["timing"]["first_epochs"]
    # An epoch whose state was kept is told when the run goes on, if it was not told before.
    assert one == 1 and first["epoch"] < other <= first["epoch"] + 2
    assert second["compilation"]["kind"] == "process" and second["dataset_sha256"]


@pytest.mark.slow
def test_servers_tell_cold_disk_and_process_apart_and_a_killed_one_goes_on(tmp_path: Path) -> None:
    """Real processes: what is compiled ahead after a start keeps its source, whoever comes first."""
    host = Host(tmp_path)
    try:
        host.start()
        cold, again = (host.finish(host.train(body(MLP))["run_id"]) for _ in range(2))
        run_id = host.train(body(MLP, epochs=100_000))["run_id"]
        eventually(lambda: host.run(run_id)["epoch"] >= 3, within=DEADLINE)
        host.kill()
        host.start()
        cut = host.run(run_id)
        disk = host.finish(host.train(body(MLP))["run_id"])
        host.client.post(f"/api/runs/{run_id}/resume", {})
        eventually(lambda: host.run(run_id)["epoch"] > cut["epoch"] + 2, within=DEADLINE)
        host.client.post(f"/api/train/{run_id}/cancel", {})
        resumed = host.finish(run_id)
    finally:
        host.stop()
    assert [run["compilation"]["kind"] for run in (cold, again, cut, disk, resumed)] == [
        *("cold", "process", "process", "disk", "process"),
    ]
    assert cold["environment"] == disk["environment"] and cold["request_sha256"] == disk["request_sha256"]
    assert cut["timing"]["first_epochs"] == [1] and cut["peak_memory"] and cut["environment"]
    one, other = resumed["timing"]["first_epochs"]
    assert one == 1 and cut["epoch"] < other <= cut["epoch"] + 2


def test_a_session_without_an_epoch_leaves_the_times_before() -> None:
    resumed = begun(replace(a_run(), timing=timing(1, 5)))
    resumed.epoch(lambda: timing(steps={"p5": 1.0}))
    assert "timing" not in resumed.last()
    resumed.epoch(lambda: timing(9))
    assert resumed.last()["timing"]["first_epochs"] == [1, 5, 9]


def test_what_changes_all_the_time_is_told_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    account = begun()
    account.epoch(lambda: timing(1))
    assert account.news().keys() == {"timing", "peak_memory"} and not account.news()
    now += module.SELDOM
    assert account.news().keys() == {"timing", "peak_memory"}
    assert account.last().keys() == {"timing", "peak_memory"}


def test_what_cannot_be_had_fails_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise OSError("a broken system")

    monkeypatch.setattr(module, "environment", fail)
    account, digest = Account(), Future[str]()
    assert account.begin(a_run(), Limits()) == {"compilation": None}
    account.trains_on(digest)
    assert "dataset_sha256" not in account.news()
    digest.set_exception(MemoryError())
    assert "dataset_sha256" not in account.last(patience=1.0)
    assert Account().last() == {}


def test_the_environment_is_as_the_document_says() -> None:
    told = Account().begin(a_run(), Limits(memory_gb=4))["environment"]
    TypeAdapter(ServerEnvironment).validate_python(told, strict=True)
    assert told["settings"] == {"kernels": "auto", "max_memory_gb": 4, "max_compile_seconds": 600}
    top = Path(module.__file__).parent.parent.parent
    assert told["git"] is None or (top / ".git").exists()
