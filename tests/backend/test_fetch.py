"""A fetch reports, fails with a reason, ends when told to, and never outlives its server."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import backend.training.fetch
from backend.training.fetch import Stopped, fetch
from nets.errors import DataError
from tests.backend.samples import DEADLINE

Child = Callable[[str], None]
NEVER = bool  # bool() is False


@pytest.fixture
def child(monkeypatch: pytest.MonkeyPatch) -> Child:
    """Makes the given Python program the child."""

    def become(program: str) -> None:
        monkeypatch.setattr(backend.training.fetch, "command", lambda name, folder: [sys.executable, "-c", program])

    return become


def nothing(fraction: float | None, message: str) -> None:
    pass


def test_progress_is_reported_and_chatter_skipped(child: Child, tmp_path: Path) -> None:
    child(
        """if True:
        import json
        print(json.dumps({"fraction": None, "message": "asking"}))
        print("a library talks"); print("7"); print(b"\\xff")
        print(json.dumps({"fraction": 0.5, "message": "half"}), flush=True)
        print(json.dumps({"done": True}), end="")
        """
    )
    heard: list[tuple[float | None, str]] = []
    fetch("mnist", tmp_path, progress=lambda fraction, message: heard.append((fraction, message)), stopped=NEVER)
    assert heard == [(None, "asking"), (0.5, "half")]


def test_the_childs_reason_is_the_reason(child: Child, tmp_path: Path) -> None:
    child("""print('{"error": "no such host; prepare it elsewhere"}'); raise SystemExit(1)""")
    with pytest.raises(DataError, match="^no such host; prepare it elsewhere$"):
        fetch("mnist", tmp_path, progress=nothing, stopped=NEVER)


def test_a_child_that_breaks_off_is_reported_with_status_and_cure(
    child: Child, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    child("import sys; sys.stderr.write('the secret reason'); sys.exit(3)")
    with pytest.raises(DataError, match=r"failed \(exit status 3\); try `lamina datasets prepare mnist`"):
        fetch("mnist", tmp_path, progress=nothing, stopped=NEVER)
    assert "the secret reason" in caplog.text


@pytest.mark.parametrize("bound", [{"patience": 0.3}, {"silence": 0.3}])
def test_a_fetch_is_bounded_in_time(child: Child, tmp_path: Path, bound: dict[str, float]) -> None:
    child("import time; time.sleep(600)")
    began = time.monotonic()
    with pytest.raises(DataError, match="did not arrive within"):
        fetch("mnist", tmp_path, progress=nothing, stopped=NEVER, **bound)
    assert time.monotonic() - began < DEADLINE


def test_output_without_an_end_does_not_fill_the_memory(child: Child, tmp_path: Path) -> None:
    child("""print("x" * (8 << 20)); print('{"done": true}')""")
    fetch("mnist", tmp_path, progress=nothing, stopped=NEVER)


def pipe(tmp_path: Path) -> tuple[str, int]:
    """A named pipe that reads as closed once nobody holds its other end."""
    path = str(tmp_path / "pipe")
    os.mkfifo(path)
    return path, os.open(path, os.O_RDONLY | os.O_NONBLOCK)


def read(descriptor: int) -> bytes:
    assert select.select([descriptor], [], [], DEADLINE)[0], "nothing came in time"
    return os.read(descriptor, 16)


@pytest.mark.timed
def test_stopping_kills_the_child_and_its_children_within_a_second(child: Child, tmp_path: Path) -> None:
    path, descriptor = pipe(tmp_path)
    grandchild = f"import time; f = open({path!r}, 'wb', 0); f.write(b'x'); time.sleep(60)"
    child(
        f"""if True:
        import signal, subprocess, sys, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        subprocess.Popen([sys.executable, "-c", {grandchild!r}])
        while True:
            print('{{"fraction": 0.1, "message": "slow"}}', flush=True)
            time.sleep(0.05)
        """
    )
    stopped_at: list[float] = []

    def stopped() -> bool:
        if not stopped_at and select.select([descriptor], [], [], 0)[0] and os.read(descriptor, 1):
            stopped_at.append(time.monotonic())
        return bool(stopped_at)

    with pytest.raises(Stopped):
        fetch("mnist", tmp_path, progress=nothing, stopped=stopped)
    assert time.monotonic() - stopped_at[0] < 1
    assert read(descriptor) == b""
    os.close(descriptor)


def test_the_child_dies_with_its_parent(tmp_path: Path) -> None:
    path, descriptor = pipe(tmp_path)
    program = f"""if True:
        import time
        from backend.commands.datasets import die_with_parent
        die_with_parent()
        f = open({path!r}, "wb", 0)
        f.write(b"x")
        time.sleep(60)
        """
    server = f"""if True:
        import sys
        from pathlib import Path
        import backend.training.fetch
        backend.training.fetch.command = lambda name, folder: [sys.executable, "-c", {program!r}]
        backend.training.fetch.fetch("mnist", Path("."), progress=print, stopped=bool)
        """
    with subprocess.Popen(
        [sys.executable, "-c", server], cwd=Path(backend.training.fetch.__file__).parents[2]
    ) as parent:
        deadline = time.monotonic() + DEADLINE
        while not (heard := read(descriptor)):  # closed also before anyone has opened it
            assert time.monotonic() < deadline and parent.poll() is None
            time.sleep(0.01)
        assert heard == b"x"
        parent.send_signal(signal.SIGKILL)
    assert read(descriptor) == b""
    os.close(descriptor)


def test_the_real_command_speaks_this_language(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "backend").mkdir()  # a user's own package of that name
    (tmp_path / "backend" / "__init__.py").write_text("raise SystemExit('not me')")
    monkeypatch.chdir(tmp_path)
    fetch("digits", Path("."), progress=nothing, stopped=NEVER)
    with pytest.raises(DataError, match="digitz"):
        fetch("digitz", Path("."), progress=nothing, stopped=NEVER)


def test_a_child_killed_for_want_of_memory_is_told_as_that(
    child: Child, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = iter([3, 4])
    monkeypatch.setattr(backend.training.fetch, "out_of_memory_kills", lambda: next(counts))
    child("import os; os.kill(os.getpid(), 9)")
    with pytest.raises(DataError, match=r"failed \(killed by the system: out of memory\); .* where there is more"):
        fetch("mnist", tmp_path, progress=nothing, stopped=NEVER)
