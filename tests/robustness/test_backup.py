"""A state is exported, and cleared up, beside a server that trains, and goes on elsewhere to the last bit."""

from __future__ import annotations

import threading
from contextlib import closing, suppress
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from backend.client import LaminaError
from backend.state import garbage as module
from backend.state.records import Json
from backend.state.store import STORE_FILE, Store
from tests.backend.samples import MLP
from tests.backend.test_cli import lamina
from tests.robustness.hosts import Follower, Host, body, outcome

EPOCHS = 160  # longer than commands take to start
WHOLE = body(MLP, epochs=EPOCHS)
EXPORTS = 3


def told(state_dir: Path) -> dict[str, Json]:
    """Every run's record and events, by its id."""
    with closing(Store(state_dir / STORE_FILE)) as store:
        return {
            run.run_id: {"state": run.state, "record": run, "events": store.events(run.run_id)}
            for run in store.list_runs()
        }


def weights(state_dir: Path) -> dict[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in state_dir.glob("r_*/weights.msgpack")}


def delete(host: Host, run_id: str) -> None:
    request = Request(f"{host.client.url}/api/runs/{run_id}", method="DELETE")
    with urlopen(request, timeout=30) as answer:
        assert answer.status == 200


@pytest.mark.slow
def test_exports_beside_a_server_go_on_elsewhere_to_the_last_bit(host: Host, tmp_path: Path) -> None:
    host.start()
    whole = outcome(host.finish(host.train(WHOLE)["run_id"]))
    active = host.train(WHOLE)["run_id"]
    waiting = host.train({**WHOLE, "queue": True})["run_id"]
    follower = Follower(host.client, active)
    archives = []
    for number in range(EXPORTS):
        follower.await_epoch(1 + number * EPOCHS // (2 * EXPORTS))
        archives.append(tmp_path / f"{number}.tar")
        done = lamina("export-state", archives[-1], "--state-dir", host.state_dir)
        assert done.returncode == 0, done.stderr
    assert not [path for path in host.state_dir.iterdir() if path.name.startswith(".")]
    assert outcome(host.finish(active)) == outcome(host.finish(waiting)) == whole
    host.stop()
    at_home, learned = told(host.state_dir), weights(host.state_dir)

    for number, archive in enumerate(archives):
        there = Host(tmp_path / f"there {number}")
        assert lamina("import-state", archive, "--state-dir", there.state_dir).returncode == 0
        moved = told(there.state_dir)
        for run_id, run in moved.items():
            if run["state"] == "succeeded":
                assert run == at_home[run_id]
            else:
                assert run["events"] == at_home[run_id]["events"][: len(run["events"])]
        found = weights(there.state_dir)
        assert found.keys() == {run_id for run_id, run in moved.items() if run["state"] == "succeeded"}
        assert all(learned[run_id] == content for run_id, content in found.items())
        if not number:
            there.start()
            try:
                record = there.run(active)
                assert (record["state"], record["resumable"]) == ("failed", True)
                there.client.post(f"/api/runs/{active}/resume", {"queue": True})
                assert outcome(there.finish(active)) == outcome(there.finish(waiting)) == whole
            finally:
                there.stop()


@pytest.mark.slow
def test_gc_beside_a_server_takes_nothing_that_anyone_needs(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """It runs again and again, with an age of a second, while runs are made, cancelled, resumed, continued, deleted."""
    monkeypatch.setattr(module, "RECENT_SECONDS", 1.0)
    host.start()
    whole = outcome(host.finish(host.train(body(MLP, epochs=6))["run_id"]))
    over = threading.Event()
    errors: list[BaseException] = []
    rounds = 0

    def collect() -> None:
        nonlocal rounds
        try:
            with closing(Store(host.state_dir / STORE_FILE)) as store:
                while not over.is_set():
                    good, _ = module.sifted(module.garbage(host.state_dir, store), store, beside=True)
                    failed, _ = module.remove(good, store, host.state_dir, beside=True)
                    assert not failed
                    rounds += 1
        except BaseException as error:  # told at the end of the test
            errors.append(error)

    collector = threading.Thread(target=collect)
    collector.start()
    try:
        for _ in range(4):
            run_id = host.train(body(MLP, epochs=6))["run_id"]
            Follower(host.client, run_id).await_epoch(2)
            with suppress(LaminaError):  # it may have ended by then
                host.client.post(f"/api/train/{run_id}/cancel")
            if host.finish(run_id)["state"] == "cancelled":
                (host.state_dir / "r_orphan").mkdir(exist_ok=True)
                host.client.post(f"/api/runs/{run_id}/resume")
            assert outcome(host.finish(run_id)) == whole
            more = host.train({"resume_from": run_id, "hyperparams": {"epochs": 8}})["run_id"]
            record = host.finish(more)
            assert record["state"] == "succeeded", record["error"]
            assert host.weights(more).is_file() and host.weights(run_id).is_file()
            delete(host, run_id)
    finally:
        over.set()
        collector.join()
    assert not errors and rounds > 10, errors
