"""Damaged, full and read-only state directories, as `lamina serve` meets them."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from backend.state.records import Json
from tests.backend.samples import MLP, eventually
from tests.robustness.disks import Filler, mount, unmount
from tests.robustness.hosts import CNN, DEADLINE, Host, body, outcome
from tests.robustness.witness import Witness

STORE = "lamina.sqlite3"
PAGE = 4096
LONG = body(MLP, epochs=100_000)


def tree(folder: Path) -> dict[str, bytes]:
    """All files, but for the index of SQLite's log, which is made anew by whoever opens it."""
    files = (file for file in folder.rglob("*") if file.is_file() and not file.name.endswith("-shm"))
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


def refused_in_a_sentence(host: Host) -> str:
    line = host.refusal()
    assert line.startswith("lamina: --state-dir: ") and line.count("\n") == 1, line
    return line


Damage = tuple[str, Callable[[bytes], bytes], str]
OF_THE_STORE: dict[str, Damage] = {
    "header overwritten": (STORE, lambda c: os.urandom(100) + c[100:], "file is not a database"),
    "pages overwritten": (STORE, lambda c: c[: 4 * PAGE] + os.urandom(3 * PAGE) + c[7 * PAGE :], "restore it"),
    "truncated": (STORE, lambda c: c[: len(c) // 2], "restore it"),
    "zero bytes": (STORE, lambda c: b"", "empty or missing, but there are folders of runs"),
}
OF_ITS_LOG: dict[str, Damage] = {
    "log overwritten": (f"{STORE}-wal", lambda c: c[:100] + os.urandom(PAGE) + c[100 + PAGE :], "cannot be read"),
    "log's header overwritten": (f"{STORE}-wal", lambda c: os.urandom(32) + c[32:], "cannot be read"),
}


def refused_after(host: Host, name: str, damaged: Callable[[bytes], bytes], reason: str) -> None:
    """Damage a file, try to start, and repair the file."""
    path = host.state_dir / name
    content = path.read_bytes()
    path.write_bytes(damaged(content))
    before = tree(host.state_dir)
    line = refused_in_a_sentence(host)
    assert reason in line and f"in {host.state_dir}, {name} is damaged (" in line
    assert tree(host.state_dir).items() >= before.items(), "a refused start changes nothing"
    path.write_bytes(content)


@pytest.mark.slow
def test_a_start_on_a_damaged_store_is_refused_and_after_repair_all_is_there(host: Host) -> None:
    host.start()
    witness = Witness(host)
    for _ in range(2):
        run_id = host.train(body(MLP))["run_id"]
        witness.follow(run_id)
        host.finish(run_id)
    witness.hear_out()
    witness.check(random.Random(0))
    for number in range(40):
        host.client.post("/api/models", {"name": f"model {number}", "description": 600 * "x"})
    host.stop()  # everything is in the store: with a log beside it, SQLite would mend some of the damage
    for damage in OF_THE_STORE.values():
        refused_after(host, *damage)
    host.start()
    witness.check(random.Random(0))
    for number in range(4):  # these are in the log
        host.client.post("/api/models", {"name": f"late {number}"})
    host.kill()
    for damage in OF_ITS_LOG.values():
        refused_after(host, *damage)
    host.start()
    witness.check(random.Random(0))
    assert sum(model["name"].startswith("late") for model in host.client.get("/api/models")) == 4


@pytest.fixture
def small_disk(host: Host) -> Iterator[Filler]:
    host.state_dir.mkdir()
    mount("-t", "tmpfs", "-o", "size=24m", "tmpfs", host.state_dir)
    yield Filler(host.state_dir / "filler")
    host.stop()
    unmount(host.state_dir)


def until_refused(host: Host) -> list[tuple[int, str]]:
    """Create models until the disk takes no more; what was refused then, several times over."""
    refusals: list[tuple[int, str]] = []
    for number in range(3000):
        fields: Json = {"model_id": f"m_{number}", "name": f"model {number}", "description": 900 * "x"}
        try:
            host.client.post("/api/models", fields)
        except Exception:
            refusals.append(host.refused("/api/models", fields))
        if len(refusals) == 3:
            break
    return refusals


@pytest.mark.slow
def test_a_full_disk_gives_clear_errors_and_costs_nothing(host: Host, small_disk: Filler) -> None:
    host.start()
    assert host.server is not None
    (worker,) = psutil.Process(host.server.process.pid).children()
    witness = Witness(host)
    first = host.finish(host.train(body(CNN))["run_id"])
    active = host.train(LONG)["run_id"]
    follower = witness.follow(active)
    follower.await_epoch(3)

    small_disk.fill()
    eventually(lambda: not host.healthy()["store_writable"], what="degraded health", within=DEADLINE)
    refusals = until_refused(host)
    assert refusals and all(status == 507 for status, _ in refusals)
    assert all("cannot be written (database or disk is full)" in sentence for _, sentence in refusals), refusals
    eventually(lambda: host.refused("/api/train", body(MLP))[0] in (409, 507), what="refusal", within=DEADLINE)
    pixels = [0.5] * 784
    answer = host.client.post("/api/infer", {"run_id": first["run_id"], "pixels": pixels})
    assert host.healthy()["status"] == "degraded" and host.run(first["run_id"]) == first

    small_disk.free()
    cut = host.finish(active)
    assert (cut["state"], cut["resumable"]) == ("failed", True)
    assert cut["error"].startswith("interrupted: its training state cannot be written (")
    witness.hear_out()
    assert follower.over()
    assert worker.is_running(), "the server has stayed up"
    witness.check(random.Random(0))
    assert host.client.post("/api/infer", {"run_id": first["run_id"], "pixels": pixels}) == answer
    assert outcome(host.finish(host.train(body(CNN))["run_id"])) == outcome(first)
    witness.resumes(active)
    host.client.post(f"/api/runs/{active}/resume")
    witness.follow(active).await_epoch(len(cut["metrics"]) + 2)
    host.client.post(f"/api/train/{active}/cancel")
    assert host.finish(active)["metrics"][: len(cut["metrics"])] == cut["metrics"]
    witness.hear_out()
    witness.check(random.Random(0))


@pytest.mark.slow
def test_a_disk_that_becomes_read_only_costs_no_epoch(host: Host) -> None:
    host.start()
    whole = host.finish(host.train(body(CNN))["run_id"])
    mount("--bind", host.state_dir, host.state_dir)
    try:
        mount("-o", "remount,bind,ro", host.state_dir)
        health = host.healthy()
        assert health is not None and (health["status"], health["store_writable"]) == ("degraded", False)
        cut = host.finish(host.train(body(CNN))["run_id"])
        assert "cannot be written (Read-only file system). Free some space or make the state directory" in cut["error"]
        assert str(host.folder) not in cut["error"]
        pixels = [0.5] * 784
        host.client.post("/api/infer", {"run_id": whole["run_id"], "pixels": pixels})
    finally:
        unmount(host.state_dir)
    host.client.post(f"/api/runs/{cut['run_id']}/resume")
    assert outcome(host.finish(cut["run_id"])) == outcome(whole)


@pytest.mark.slow
def test_a_start_on_a_full_or_read_only_disk_is_refused(host: Host, small_disk: Filler) -> None:
    small_disk.fill()
    line = refused_in_a_sentence(host)
    assert f"cannot write to {host.state_dir} (" in line and ("full" in line or "space" in line), line
    for file in host.state_dir.iterdir():
        file.unlink()
    mount("-o", "remount,ro", host.state_dir)
    assert f"cannot write to {host.state_dir} (Read-only file system)" in refused_in_a_sentence(host)
    mount("-o", "remount,rw", host.state_dir)
    host.start()
    assert host.client.get("/api/models") == []


@pytest.mark.slow
def test_a_server_starts_beside_damaged_files_of_runs(host: Host) -> None:
    """What is damaged in one run's folder is that run's affair."""
    host.start()
    runs = [host.finish(host.train(body(MLP, seed=seed))["run_id"])["run_id"] for seed in range(3)]
    host.stop()
    host.weights(runs[0]).write_bytes(host.weights(runs[1]).read_bytes())
    host.weights(runs[1]).with_name("run.json").write_bytes(b"\xff{")
    host.weights(runs[1]).with_name("training.msgpack").write_bytes(b"nothing")
    shutil.rmtree(host.state_dir / runs[2])
    for program in (host.state_dir / "compiled").iterdir():
        program.write_bytes(program.read_bytes()[:-100])
    host.start()
    pixels = [0.5] * 784
    status, sentence = host.refused("/api/infer", {"run_id": runs[0], "pixels": pixels})
    assert status == 500 and "weights.msgpack is damaged: its SHA-256" in sentence
    assert host.client.post("/api/infer", {"run_id": runs[1], "pixels": pixels})["run_id"] == runs[1]
    status, sentence = host.refused("/api/train", {"resume_from": runs[1], "hyperparams": {"epochs": 9}})
    assert status == 409 and "training.msgpack is damaged" in sentence
    status, sentence = host.refused("/api/infer", {"run_id": runs[2], "pixels": pixels})
    assert status == 409 and "are gone from the disk" in sentence
    again = host.finish(host.train(body(MLP, seed=0))["run_id"])
    assert outcome(again) == outcome(host.run(runs[0])), "damaged programs are compiled again"
