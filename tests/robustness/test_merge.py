"""`lamina import-state --merge` beside a server: everything answers at once, and a kill leaves nothing by halves."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from contextlib import closing
from pathlib import Path

import pytest

from backend.config import COMMAND
from backend.state.store import STORE_FILE, Store
from tests.backend.samples import MLP
from tests.backend.test_archive import make_state
from tests.backend.test_cli import lamina
from tests.robustness.hosts import Follower, Host, body, outcome

WHOLE = body(MLP, epochs=200)  # longer than a command takes to start
PIXELS = [round(index % 28 / 28, 3) for index in range(784)]


@pytest.mark.slow
def test_what_is_merged_beside_a_server_answers_at_once_and_goes_on_to_the_last_bit(host: Host, tmp_path: Path) -> None:
    host.start()
    whole = outcome(host.finish(host.train(WHOLE)["run_id"]))
    done = host.client.get("/api/runs")["runs"][0]["run_id"]
    said = host.client.post("/api/infer", {"run_id": done, "pixels": PIXELS})
    stream = [(event.id, event.name, event.data) for event in host.client.events(f"/api/runs/{done}/events")]
    active = host.train(WHOLE)["run_id"]
    Follower(host.client, active).await_epoch(3)
    archive = tmp_path / "a.tar"
    assert lamina("export-state", archive, "--state-dir", host.state_dir).returncode == 0
    host.stop()

    there = Host(tmp_path / "there")
    there.start()
    try:
        own = there.train(body(MLP, epochs=10_000))["run_id"]
        Follower(there.client, own).await_epoch(1)
        merged = lamina("import-state", archive, "--merge", "--state-dir", there.state_dir)
        assert merged.returncode == 0 and "has got 2 runs, 2 models" in merged.stdout, merged.stderr
        assert [run["run_id"] for run in there.client.get("/api/runs")["runs"]] == [active, done, own]
        assert there.client.post("/api/infer", {"run_id": done, "pixels": PIXELS}) == said
        again = [(event.id, event.name, event.data) for event in there.client.events(f"/api/runs/{done}/events")]
        assert again == stream
        there.client.post(f"/api/runs/{active}/resume", {"queue": True})
        again = lamina("import-state", archive, "--merge", "--state-dir", there.state_dir).stdout
        assert "has got 0 runs" in again and "2 runs and 2 models were there already" in again
        there.client.post(f"/api/train/{own}/cancel")
        assert there.finish(own)["state"] == "cancelled", "it has trained all the while"
        assert outcome(there.finish(active)) == whole
    finally:
        there.stop()
    assert json.loads(lamina("gc", "--json", "--state-dir", there.state_dir).stdout)["found"] == []


@pytest.mark.slow
def test_a_merge_that_is_killed_leaves_only_what_gc_finds(tmp_path: Path) -> None:
    theirs = make_state(tmp_path / "theirs", runs=30)
    for index in range(30):
        (theirs / f"r_{index}" / "training.msgpack").write_bytes(os.urandom(1_000_000))
    archive, ours = tmp_path / "a.tar", tmp_path / "ours"
    assert lamina("export-state", archive, "--state-dir", theirs).returncode == 0
    ours.mkdir()
    Store(ours / STORE_FILE).close()
    command = [*COMMAND, "import-state", str(archive), "--merge", "--state-dir", str(ours)]
    began = time.monotonic()
    assert subprocess.run(command, capture_output=True).returncode == 0
    takes = time.monotonic() - began
    with closing(Store(ours / STORE_FILE)) as store:
        for index in range(30):
            store.delete_run(f"r_{index}")
        store.delete_model("m_1")
    moments = random.Random(3)
    killed = 0
    for _ in range(8):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(moments.uniform(0.4, 1.05) * takes)
        process.send_signal(signal.SIGKILL)
        process.wait()
        with closing(Store(ours / STORE_FILE)) as store:
            runs = [run.run_id for run in store.list_runs()]
            if runs:
                assert runs == [f"r_{index}" for index in reversed(range(30))]
                assert all((ours / run_id / "training.msgpack").stat().st_size == 1_000_000 for run_id in runs)
                store.delete_model("m_1")
            else:
                killed += 1
    assert killed
    found = json.loads(lamina("gc", "--yes", "--json", "--state-dir", ours).stdout)["found"]
    assert {each["kind"] for each in found} <= {"unfinished_work", "unrecorded_run"}
    assert not [name for name in os.listdir(ours) if name.startswith((".", "r_"))]
    assert subprocess.run(command, capture_output=True).returncode == 0
    assert json.loads(lamina("gc", "--json", "--state-dir", ours).stdout)["found"] == []
