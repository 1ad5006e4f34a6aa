"""A state directory has one owner, whatever hands do to the lock file."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from backend.state import lock
from backend.state.lock import NAME, StateInUse, own
from tests.backend.conftest import offline_app, parts


def remove(folder: Path) -> None:
    (folder / NAME).unlink()


def replace(folder: Path) -> None:
    remove(folder)
    (folder / NAME).touch()


def rename(folder: Path) -> None:
    (folder / NAME).rename(folder / "old")


@pytest.mark.parametrize("done", [remove, replace, rename, lambda folder: None])
def test_a_second_owner_is_refused_whatever_becomes_of_the_lock_file(
    tmp_path: Path, done: Callable[[Path], None]
) -> None:
    with own(tmp_path, patience=0.0):
        done(tmp_path)
        with pytest.raises(StateInUse, match="another Lamina server uses the state directory"):
            own(tmp_path, patience=0.0)
    own(tmp_path, patience=0.0).close()


def test_where_directories_cannot_be_locked_the_file_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = lock.fcntl.flock

    def flock(descriptor: int, how: int) -> None:
        if lock.os.path.isdir(f"/proc/self/fd/{descriptor}"):
            raise OSError(lock.errno.EBADF, "Bad file descriptor")
        real(descriptor, how)

    monkeypatch.setattr(lock.fcntl, "flock", flock)
    with own(tmp_path, patience=0.0), pytest.raises(StateInUse):
        own(tmp_path, patience=0.0)


def test_health_tells_of_a_directory_that_was_moved_away(tmp_path: Path) -> None:
    app = offline_app(tmp_path)
    folder = parts(app).settings.state_dir
    folder.rename(tmp_path / "moved")
    folder.mkdir()
    answer = app.test_client().get("/api/health").json
    assert answer["status"] == "degraded" and answer["warnings"][0].startswith("the state directory was moved")
    shutil.rmtree(folder)
    (tmp_path / "moved").rename(folder)
    answer = app.test_client().get("/api/health").json
    assert answer["status"] == "ok" and not answer["warnings"]
    parts(app).close()
