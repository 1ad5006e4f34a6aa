"""A state directory that an earlier commit wrote (`old_state.py` says how) opens, answers and goes on as before."""

from __future__ import annotations

import json
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend.client import LaminaError
from backend.config import COMMAND
from backend.state.records import Json
from nets.process.device import device_description
from tests.robustness.hosts import DEADLINE, Follower, Host
from tests.robustness.old_state import MANY

ARCHIVE = Path(__file__).with_name("old_state.tar.xz")
EXACT, ROUNDED = 1e-6, 0.02  # of probabilities: on every machine; of bfloat16, where another machine sums otherwise
CHANGING = ("runs", "warnings")  # of a model: compared run by run; what is true today


@pytest.fixture
def said(tmp_path: Path) -> Json:
    """What the server of then said last, its state unpacked for `host`."""
    with tarfile.open(ARCHIVE) as tar:
        tar.extractall(tmp_path, filter="data")
    return json.loads((tmp_path / "said.json").read_text())


def changed(then: Any, now: Any, place: str = "") -> list[str]:
    """What was said and is not said any more, or otherwise; more may be said."""
    if isinstance(then, dict) and isinstance(now, dict):
        lost = [f"{place}/{name} is missing" for name in then.keys() - now.keys()]
        return lost + [
            each for name in then.keys() & now.keys() for each in changed(then[name], now[name], f"{place}/{name}")
        ]
    if isinstance(then, list) and isinstance(now, list) and len(then) == len(now):
        return [each for at, pair in enumerate(zip(then, now, strict=True)) for each in changed(*pair, f"{place}/{at}")]
    return [] if then == now else [f"{place} was {then!r}, is {now!r}"]


def events(host: Host, run_id: str) -> Json:
    """All kept events of a run that has ended."""
    told = host.client.events(f"/api/runs/{run_id}/events")
    return [[int(event.id), event.name, event.data] for event in told if event.id]


def lamina(*arguments: str | Path) -> None:
    subprocess.run([*COMMAND, *map(str, arguments)], check=True, capture_output=True, timeout=DEADLINE)


def check_records(host: Host, said: Json) -> None:
    """Models, runs and events are those of then; what was cut off says so, and what waited is done."""
    assert [model["model_id"] for model in host.client.get("/api/models")] == list(said["models"])
    assert {run["run_id"] for run in host.client.get("/api/runs")["runs"]} == said["runs"].keys()
    waited = host.finish(said["waiting"])
    assert (waited["state"], waited["error"], waited["epoch"]) == ("succeeded", None, 1)
    for model_id, then in said["models"].items():
        now = host.client.get(f"/api/models/{model_id}")
        assert [run["run_id"] for run in now["runs"]] == [run["run_id"] for run in then["runs"]]
        if model_id != waited["model_id"]:
            assert changed({name: then[name] for name in then if name not in CHANGING}, now) == []
    for run_id in said["ended"]:
        assert changed(said["runs"][run_id], host.run(run_id)) == []
        assert events(host, run_id) == said["events"][run_id]
        assert host.client.get(f"/api/runs/{run_id}/metrics")["metrics"] == said["metrics"][run_id]
    cut_off, heard = host.run(said["interrupted"]), said["events"][said["interrupted"]]
    assert (cut_off["state"], cut_off["resumable"]) == ("failed", True)
    assert cut_off["error"].startswith("interrupted: ")
    assert events(host, said["interrupted"])[: len(heard)] == heard


def check_answer(said: Json, then: Json, now: Json) -> None:
    """A network gives the probabilities that it gave."""
    record = said["runs"][then["run_id"]]
    same = record["precision"] == "float32" or record["device"] == device_description()
    near = EXACT if same else ROUNDED
    np.testing.assert_allclose(now.pop("probabilities"), then["probabilities"], rtol=0, atol=near)
    if same:
        assert now == {name: then[name] for name in then if name != "probabilities"}


def check_answers(host: Host, said: Json) -> None:
    for run_id, then in said["batches"].items():
        check_answer(said, then, host.client.post("/api/infer", {"run_id": run_id, "batch": said["pixels"]}))


def goes_on(host: Host, run_id: str) -> None:
    """A run that was not done is resumed after its last epoch, or refused in a sentence that says what to do."""
    before = host.run(run_id)
    try:
        assert host.client.post(f"/api/runs/{run_id}/resume")["run_id"] == run_id
    except LaminaError:
        status, sentence = host.refused(f"/api/runs/{run_id}/resume", {})
        assert status == 409
        assert "start it again with POST /api/train" in sentence
        assert host.run(run_id)["metrics"] == before["metrics"]
        return
    Follower(host.client, run_id).await_epoch(before["epoch"] + 2)  # which replays what it had, too
    host.client.post(f"/api/train/{run_id}/cancel")
    after = host.finish(run_id)
    assert after["state"] == "cancelled", after["error"]
    assert after["metrics"][: before["epoch"]] == before["metrics"]
    assert [metric["epoch"] for metric in after["metrics"]] == list(range(1, after["epoch"] + 1))
    assert after["metrics"][before["epoch"]]["train_loss"] < before["metrics"][0]["train_loss"]


def test_an_old_state_opens_and_answers(host: Host, said: Json) -> None:
    host.start()
    check_answers(host, said)
    check_records(host, said)


@pytest.mark.slow
def test_old_runs_go_on_and_old_models_train_anew(host: Host, said: Json) -> None:
    host.start()
    host.finish(said["waiting"])
    for run_id in (said["cancelled"], said["interrupted"]):
        goes_on(host, run_id)
    conv, mlp, residual = list(said["batches"])[:3]
    for run_id in (conv, mlp, residual):
        accepted = host.train({"model_id": said["runs"][run_id]["model_id"]})
        record = host.finish(accepted["run_id"])
        assert record["state"] == "succeeded", record["error"]
        assert record["epoch"] == record["epochs_total"]


@pytest.mark.slow
def test_old_networks_answer_one_image_and_many(host: Host, said: Json) -> None:
    host.start()
    for run_id, then in said["single"].items():
        now = host.client.post("/api/infer", {"run_id": run_id, "pixels": said["pixels"][0]})
        check_answer(said, then, now)
    for run_id, then in said["many"].items():
        now = host.client.post("/api/infer", {"run_id": run_id, "batch": said["pixels"] * MANY})
        np.testing.assert_allclose(now["probabilities"], then * MANY, rtol=0, atol=EXACT)


@pytest.mark.slow
def test_an_old_export_is_imported(host: Host, said: Json) -> None:
    host.state_dir = host.folder / "imported" / "state"
    lamina("import-state", host.folder / "export.tar", "--state-dir", host.state_dir)
    host.start()
    check_records(host, said)
    check_answers(host, said)


@pytest.mark.slow
def test_an_old_state_is_exported(host: Host, said: Json) -> None:
    archive = host.folder / "new.tar"
    lamina("export-state", archive, "--state-dir", host.state_dir)
    host.state_dir = host.folder / "imported" / "state"
    lamina("import-state", archive, "--state-dir", host.state_dir)
    host.start()
    check_records(host, said)
    check_answers(host, said)
