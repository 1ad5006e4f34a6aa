"""The commit of a server: read where there is one, and never an obstacle."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from backend.training import checkout
from tests.backend.samples import DEADLINE

NOBODY = ("-c", "user.name=n", "-c", "user.email=e@example.com", "-c", "commit.gpgsign=false")
without_git = pytest.mark.skipif(shutil.which("git") is None, reason="no git")


def run(folder: Path, *command: str) -> str:
    done = subprocess.run(["git", *NOBODY, "-C", str(folder), *command], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    run(tmp_path, "init", "-q")
    (tmp_path / "a").write_text("1")
    run(tmp_path, "add", "a")
    run(tmp_path, "commit", "-q", "-m", "one")
    return tmp_path


@without_git
def test_the_commit_and_whether_anything_was_changed_since(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", "/nowhere")  # as a hook of another checkout has it
    (repository / "untracked").write_text("2")
    found = checkout._read(repository)
    assert found is not None and len(found["commit"]) == 40 and found["dirty"] is False
    (repository / "a").write_text("2")
    assert checkout._read(repository) == {"commit": found["commit"], "dirty": True}


@without_git
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_the_checkout_of_somebody_else_is_left_alone(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SUDO_UID", "HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    for path in (repository, repository / ".git"):
        os.chown(path, 54321, 54321)
    assert checkout._read(repository) is None


@without_git
def test_it_is_read_once(repository: Path) -> None:
    checkout.begin(repository)
    found = checkout.git(repository)
    (repository / "a").write_text("2")
    assert checkout.git(repository) is found is not None


def test_no_checkout_no_git_and_a_broken_one_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside = tmp_path / "inside"
    (tmp_path / ".git").mkdir()  # of what this folder stands in, and empty at that
    inside.mkdir()
    assert checkout._read(inside) is None and checkout._read(tmp_path) is None
    monkeypatch.setenv("PATH", str(inside))
    assert checkout._read(tmp_path) is None


def test_git_that_takes_its_time_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()
    monkeypatch.setattr(checkout, "_read", lambda folder: go_on.wait(DEADLINE) and None)
    monkeypatch.setattr(checkout, "PATIENCE", 0.01)
    assert checkout.git(tmp_path / "slow") is None and not go_on.is_set()
    go_on.set()
