"""`lamina gc`, `export-state` and `import-state` as an operator uses them: real processes, a real server."""

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from urllib.request import urlopen

import pytest

from backend.client import LaminaError
from backend.commands.state import collect, export, merge
from backend.config import ConfigError, Settings
from backend.demo.local_server import LocalServer, free_port
from backend.state.lock import own
from backend.state.schema import SCHEMA_VERSION
from backend.state.store import STORE_FILE, Store
from tests.backend.test_archive import files, make_state
from tests.backend.test_cli import lamina
from tests.backend.test_server import body

PIXELS = [round(index % 28 / 28, 3) for index in range(784)]


def settings_in(folder, name):
    return Settings(port=free_port(first=0), state_dir=folder / name, data_dir=folder / "data")


def test_gc_lists_first_and_removes_when_told(tmp_path):
    state = make_state(tmp_path / "state", runs=2)
    (state / "r_1" / "weights.msgpack").unlink()
    listed = lamina("gc", "--state-dir", state, COLUMNS="120")
    assert listed.returncode == 0 and "\x1b" not in listed.stdout
    for words in ("r_orphan", "folder of a run that has no record", "2 in all", "`lamina gc --yes` removes them"):
        assert words in listed.stdout
    before = files(state).keys()
    found = json.loads(lamina("gc", "--state-dir", state, "--json").stdout)
    assert [(each["kind"], each["path"], each["done"]) for each in found["found"]] == [
        ("unrecorded_run", "r_orphan", False),
        ("weights_gone", "r_1/weights.msgpack", False),
    ]
    assert files(state).keys() == before
    done = json.loads(lamina("gc", "--state-dir", state, "--json", "--yes").stdout)
    assert done["removed"] and done["bytes"] == 1 and all(each["done"] for each in done["found"])
    assert not (state / "r_orphan").exists()
    assert lamina("gc", "--state-dir", state).stdout == f"Nothing to remove in {state}.\n"
    with closing(Store(state / STORE_FILE)) as store:
        assert store.get_run("r_1").saved_model_path is None and store.get_run("r_0").saved_model_path is not None


@pytest.mark.parametrize("command", [("gc",), ("gc", "--yes"), ("export-state", "a.tar")])
def test_where_there_is_no_state_there_is_one_sentence_and_code_2(tmp_path, command):
    answer = lamina(*command, "--state-dir", tmp_path / "none")
    assert answer.returncode == 2
    assert answer.stderr == f"lamina: --state-dir: {tmp_path}/none holds no Lamina state\n"
    assert not (tmp_path / "none").exists()


def test_a_damaged_store_is_one_sentence_and_code_2(tmp_path):
    (tmp_path / STORE_FILE).write_bytes(b"no database, but long enough to look like one" * 100)
    for command in (("gc",), ("export-state", tmp_path / "a.tar")):
        answer = lamina(*command, "--state-dir", tmp_path)
        assert answer.returncode == 2
        assert answer.stderr.startswith(f"lamina: --state-dir: {STORE_FILE} is damaged (file is not a database)")
        assert answer.stderr.count("\n") == 1


def test_a_tar_that_cannot_be_taken_is_one_sentence_and_code_1(tmp_path):
    (tmp_path / "a.tar").write_bytes(b"no tar")
    answer = lamina("import-state", tmp_path / "a.tar", "--state-dir", tmp_path / "new")
    assert answer.returncode == 1
    assert len(answer.stderr.splitlines()) == 1 and "a.tar is not a complete tar" in answer.stderr
    missing = lamina("import-state", tmp_path / "b.tar", "--state-dir", tmp_path / "new")
    assert (missing.returncode, missing.stderr) == (1, f"lamina: {tmp_path}/b.tar: No such file or directory\n")
    assert sorted(os.listdir(tmp_path)) == ["a.tar"]


def test_beside_a_server_gc_says_so_and_what_it_left(tmp_path, capsys):
    state = make_state(tmp_path / "state", runs=1)
    with own(state, patience=0.0):
        assert collect(state, yes=True, as_json=False) == 0
        said = capsys.readouterr().out
        assert f"A server, or another command, is using {state}." in said and "Left alone: 1, 1 byte." in said
        assert "r_orphan: it was changed in the last 10 minutes" in said and (state / "r_orphan").is_dir()
        assert collect(state, yes=False, as_json=True) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["server_running"], told["found"], told["left"][0]["path"]) == (True, [], "r_orphan")
    assert collect(state, yes=True, as_json=True) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["server_running"], told["left"], told["found"][0]["done"]) == (False, [], True)


def test_a_server_of_another_version_is_left_in_peace(tmp_path):
    state = make_state(tmp_path / "state", runs=1)
    with closing(sqlite3.connect(state / STORE_FILE)) as store:
        store.execute(f"PRAGMA user_version = {SCHEMA_VERSION - 1}")
    before = files(state)
    with own(state, patience=0.0), pytest.raises(ConfigError, match="a server uses it; stop it first, or use the vers"):
        collect(state, yes=True, as_json=False)
    assert files(state).items() >= before.items()


def test_a_merge_makes_a_state_where_there_is_none_and_adds_to_one(tmp_path, capsys):
    state = make_state(tmp_path / "state", runs=2)
    assert export(state, tmp_path / "a.tar") == 0 and "could not write" not in capsys.readouterr().out
    assert merge(tmp_path / "new", tmp_path / "a.tar") == 0
    assert capsys.readouterr().out.startswith(f"{tmp_path}/new holds 2 runs")
    assert merge(tmp_path / "new", tmp_path / "a.tar") == 0
    assert "new has got 0 runs, 0 models, 0 files, 0 bytes from a.tar; 2 runs and 1 models" in capsys.readouterr().out
    with closing(Store(tmp_path / "new" / STORE_FILE)) as store:
        store.update_run("r_1", notes="mine")
    with pytest.raises(SystemExit, match="lamina: what is here under the same ids differs from the archive: run r_1"):
        merge(tmp_path / "new", tmp_path / "a.tar")


def replayed(server, run_id):
    with urlopen(f"{server.client.url}/api/runs/{run_id}/events", timeout=30) as stream:
        return stream.read()


@pytest.mark.slow
def test_a_state_moves_to_another_machine(tmp_path):
    """Served from elsewhere, under another name: the same probabilities, the same stream, and training goes on."""
    here, there = settings_in(tmp_path, "checkpoints"), settings_in(tmp_path / "another machine", "state of 2026")
    with LocalServer(here) as server:
        server.wait_until_healthy()
        started = server.client.post("/api/train", body(epochs=2))
        run_id, model_id = started["run_id"], started["model_id"]
        replayed(server, run_id)  # live, to its end
        stream = replayed(server, run_id)
        server.client.post(f"/api/models/{model_id}/save", {"run_id": run_id})
        said = server.client.post("/api/infer", {"run_id": run_id, "pixels": PIXELS})
        old_path = server.client.get(f"/api/models/{model_id}")["saved_model_path"]
        beside = lamina("export-state", tmp_path / "beside.tar", "--state-dir", here.state_dir)
        assert beside.returncode == 0 and "could not write for" in beside.stdout, beside.stderr
    assert json.loads(lamina("gc", "--state-dir", here.state_dir, "--json").stdout)["found"] == []
    exported = lamina("export-state", tmp_path / "a.tar", "--state-dir", here.state_dir)
    imported = lamina("import-state", tmp_path / "a.tar", "--state-dir", there.state_dir)
    assert (exported.returncode, imported.returncode) == (0, 0), exported.stderr + imported.stderr
    assert exported.stdout.rpartition(" ")[2] == imported.stdout.rpartition(" ")[2], "the same SHA-256"

    with LocalServer(there) as server:
        server.wait_until_healthy()
        assert replayed(server, run_id) == stream
        assert server.client.post("/api/infer", {"run_id": run_id, "pixels": PIXELS}) == said
        assert server.client.post("/api/infer", {"model_id": model_id, "pixels": PIXELS}) == said
        model = server.client.get(f"/api/models/{model_id}")
        assert model["saved_model_path"] == f"state of 2026/{run_id}/weights.msgpack"
        assert model["saved_model_exists"] and (there.state_dir.parent / model["saved_model_path"]).is_file()
        again = server.client.post("/api/models", {"model_id": model_id, "saved_model_path": old_path})
        assert again["saved_model_path"] == model["saved_model_path"], "a path told before the move still names the run"
        further = server.client.post("/api/train", {"resume_from": run_id, "hyperparams": {"epochs": 3}})
        assert replayed(server, further["run_id"]).count(b"event: metric") == 1


@pytest.mark.slow
def test_an_import_that_is_killed_leaves_only_what_gc_finds(tmp_path):
    state = make_state(tmp_path / "state")
    for index in range(3):
        (state / f"r_{index}" / "training.msgpack").write_bytes(os.urandom(20_000_000))
    archive, target = tmp_path / "a.tar", tmp_path / "new" / "state"
    assert lamina("export-state", archive, "--state-dir", state).returncode == 0
    command = [sys.executable, "-m", "backend.cli", "import-state", str(archive), "--state-dir", str(target)]
    moments = random.Random(1)
    target.parent.mkdir()
    killed = 0
    for how in [signal.SIGKILL] * 9 + [signal.SIGTERM]:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(moments.uniform(0.1, 1.0))
        process.send_signal(how)
        code = process.wait()
        if target.exists():  # whole, also where the signal came between the last step and the end of the process
            assert len(files(target)) == 7
            target.rename(tmp_path / f"done_{killed}_{process.pid}")
        else:
            assert code != 0
            killed += 1
    assert killed > 0
    leftovers = sorted(entry.name for entry in target.parent.iterdir())
    assert lamina("import-state", archive, "--state-dir", target).returncode == 0
    found = json.loads(lamina("gc", "--state-dir", target, "--yes", "--json").stdout)["found"]
    assert [each["kind"] for each in found] == ["unfinished_import"] * len(leftovers)
    assert os.listdir(target.parent) == ["state"] and files(target)["r_1/training.msgpack"]


@pytest.mark.slow
def test_a_crash_between_record_and_files_leaves_only_what_gc_finds(tmp_path):
    settings = settings_in(tmp_path, "state")
    with LocalServer(settings) as server:
        server.wait_until_healthy()
        started = server.client.post("/api/train", body(epochs=1))
        replayed(server, started["run_id"])
    with closing(Store(settings.state_dir / STORE_FILE)) as store:
        store.delete_run(started["run_id"])  # and here the power fails
    with LocalServer(settings) as server:
        server.wait_until_healthy()
        with pytest.raises(LaminaError):
            server.client.get(f"/api/runs/{started['run_id']}")
    found = json.loads(lamina("gc", "--state-dir", settings.state_dir, "--yes", "--json").stdout)["found"]
    assert [(each["kind"], each["path"]) for each in found] == [("unrecorded_run", started["run_id"])]
    assert not (settings.state_dir / started["run_id"]).exists()
