"""Weights are whole or not there, and no path leads out of the state directory."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest

import backend.state.checkpoints
from backend.state.checkpoints import Checkpoints

VARIABLES = {"params": {"0_linear": {"bias": np.arange(3, dtype=np.float32)}}, "batch_stats": {}}


@pytest.fixture
def checkpoints(tmp_path: Path) -> Checkpoints:
    (tmp_path / "state").mkdir()
    return Checkpoints(tmp_path / "state")


def test_a_folder_explains_itself(checkpoints: Checkpoints, tmp_path: Path) -> None:
    path, sha256 = checkpoints.write("r_1", {"dataset": "digits", "classes": ["0", "1"]}, VARIABLES)
    assert path == "state/r_1/weights.msgpack"
    weights = checkpoints.resolve(path)
    assert weights == tmp_path / path == checkpoints.folder("r_1") / "weights.msgpack"
    assert hashlib.sha256(weights.read_bytes()).hexdigest() == sha256
    described = json.loads((tmp_path / "state/r_1/run.json").read_text())
    assert described == {"run_id": "r_1", "dataset": "digits", "classes": ["0", "1"], "weights_sha256": sha256}
    assert sorted(os.listdir(weights.parent)) == ["run.json", "weights.msgpack"]
    assert checkpoints.exists(path)


@pytest.mark.parametrize("step", ["save_weights", "write_durably"])
def test_a_write_that_breaks_off_leaves_no_weights(
    checkpoints: Checkpoints, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(backend.state.checkpoints, step, full)
    with pytest.raises(OSError, match="No space"):
        checkpoints.write("r_1", {}, VARIABLES)
    assert not checkpoints.exists("state/r_1/weights.msgpack")


def test_a_description_that_is_no_json_leaves_no_weights(checkpoints: Checkpoints) -> None:
    with pytest.raises(ValueError, match="Out of range float"):
        checkpoints.write("r_1", {"test_loss": float("nan")}, VARIABLES)
    assert not checkpoints.exists("state/r_1/weights.msgpack")


def test_a_second_write_replaces_the_first(checkpoints: Checkpoints) -> None:
    path, first = checkpoints.write("r_1", {}, VARIABLES)
    again, second = checkpoints.write("r_1", {}, {"params": {}, "batch_stats": {}})
    assert path == again and first != second
    assert hashlib.sha256(checkpoints.resolve(path).read_bytes()).hexdigest() == second


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/etc/passwd",
        "state/r_1",
        "state/r_1/run.json",
        "state/../r_1/weights.msgpack",
        "state/../weights.msgpack",
        "state/./weights.msgpack",
        "state//weights.msgpack",
        "/state/r_1/weights.msgpack",
        "state/r_1/weights.msgpack/",
        "state/r_1\n/weights.msgpack",
        "state/r_\0/weights.msgpack",
        "state/" + "r" * 300 + "/weights.msgpack",
        "state\\r_1\\weights.msgpack",
        "../r_1/weights.msgpack",
        "./r_1/weights.msgpack",
        None,
        7,
        ["state", "r_1", "weights.msgpack"],
    ],
)
def test_only_weights_of_the_state_directory_can_be_named(checkpoints: Checkpoints, path: object) -> None:
    with pytest.raises(ValueError, match="has the form state/<run_id>/weights.msgpack"):
        checkpoints.resolve(path)
    assert not checkpoints.exists(path)


def test_a_path_told_before_the_state_directory_was_renamed_still_names_the_weights(checkpoints: Checkpoints) -> None:
    path, _ = checkpoints.write("r_1", {}, VARIABLES)
    assert checkpoints.resolve("its old name/r_1/weights.msgpack") == checkpoints.resolve(path)


@pytest.mark.parametrize("link", ["folder", "file"])
def test_a_symbolic_link_leads_nowhere(checkpoints: Checkpoints, tmp_path: Path, link: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "weights.msgpack").write_bytes(b"secret")
    if link == "folder":
        (tmp_path / "state/r_1").symlink_to(outside)
    else:
        (tmp_path / "state/r_1").mkdir()
        (tmp_path / "state/r_1/weights.msgpack").symlink_to(outside / "weights.msgpack")
    with pytest.raises(ValueError, match="without symbolic links"):
        checkpoints.resolve("state/r_1/weights.msgpack")
    assert not checkpoints.exists("state/r_1/weights.msgpack")
    checkpoints.remove("r_1")
    assert (outside / "weights.msgpack").read_bytes() == b"secret"


def test_a_state_directory_behind_a_link_works(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "state").symlink_to(tmp_path / "disk")
    checkpoints = Checkpoints(tmp_path / "state")
    path, _ = checkpoints.write("r_1", {}, VARIABLES)
    assert path == "disk/r_1/weights.msgpack" and checkpoints.exists(path)


@pytest.mark.parametrize("run_id", ["", "..", ".", "a/b", "a\n", "/etc", "r_1\0"])
def test_an_id_that_is_no_plain_name_has_no_folder(checkpoints: Checkpoints, run_id: str) -> None:
    with pytest.raises(ValueError, match="is not a run id"):
        checkpoints.folder(run_id)
    with pytest.raises(ValueError, match="is not a run id"):
        checkpoints.remove(run_id)


def test_remove_takes_the_folder_and_may_be_repeated(checkpoints: Checkpoints) -> None:
    path, _ = checkpoints.write("r_1", {}, VARIABLES)
    kept, _ = checkpoints.write("r_2", {}, VARIABLES)
    checkpoints.remove("r_1")
    checkpoints.remove("r_1")
    assert not checkpoints.exists(path) and not checkpoints.folder("r_1").exists()
    assert checkpoints.exists(kept)
    assert not checkpoints.exists(None)
