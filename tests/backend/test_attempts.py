"""What a server does of its own accord does not end one server after the other."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from backend.state.attempts import BELIEVED_SECONDS, CAREFUL, COMPILING, Attempts
from backend.training.warmer import Warmer
from nets.training.cache import ProgramCache
from nets.training.programs import rehearse, smallest
from nets.training.workload import Workload
from tests.backend.samples import eventually

KILLED_COMPILING = """
import os, sys
from concurrent.futures import Future
from pathlib import Path
from backend.training import warmer as module
from backend.state.attempts import Attempts
from nets.training.cache import ProgramCache
module.rehearse = lambda workload: os.kill(os.getpid(), 9)
warmer = module.Warmer(Attempts(Path(sys.argv[1])), ProgramCache())
warmer.start()
done = Future()
warmer.warm(lambda: done.set_result("lives"))
print(done.result())
"""


def server(state_dir: Path) -> subprocess.CompletedProcess[str]:
    """A process with a warmer, which is killed as soon as it compiles anything."""
    command = [sys.executable, "-c", KILLED_COMPILING, str(state_dir)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.mark.slow
def test_what_has_killed_one_server_kills_no_second_one(tmp_path: Path) -> None:
    assert server(tmp_path).returncode == -signal.SIGKILL
    again = server(tmp_path)
    assert (again.returncode, again.stdout) == (0, "lives\n")
    warnings = Attempts(tmp_path).warnings()
    assert warnings[0].startswith(f"{COMPILING} is skipped: a server that began it at ") and warnings[1:] == [CAREFUL]


def test_a_mark_stands_only_while_it_lasts(tmp_path: Path) -> None:
    attempts = Attempts(tmp_path)
    with attempts.of("this") as allowed:
        assert allowed and Attempts(tmp_path).warnings()
    with pytest.raises(RuntimeError), attempts.of("that"):
        raise RuntimeError
    assert Attempts(tmp_path).warnings() == []


def test_an_orderly_end_leaves_no_mark_and_begins_nothing(tmp_path: Path) -> None:
    attempts = Attempts(tmp_path)
    with attempts.of("this"):
        attempts.close()
        assert Attempts(tmp_path).warnings() == []
    with attempts.of("that") as allowed:
        assert not allowed


def left_behind(folder: Path, what: str, depends_on: object = "") -> Attempts:
    """As the next server finds it: the one before ended in the middle of this."""
    Attempts(folder)._begin(next(iter(names(folder, what, depends_on))), what)
    return Attempts(folder)


def names(folder: Path, what: str, depends_on: object) -> list[Path]:
    attempts = Attempts(folder)
    with attempts.of(what, depends_on=depends_on):
        return list((folder / "attempts").iterdir())


def test_only_the_same_work_is_left_out_and_until_a_run_succeeds_with_it(tmp_path: Path) -> None:
    attempts = left_behind(tmp_path, "this", depends_on=1)
    with attempts.of("that") as begins:
        assert not begins, "what has just ended a server may do so in any attempt"
    attempts.succeeded("another")
    for what, number, allowed in (("this", 1, False), ("this", 2, True), ("that", 1, True)):
        with attempts.of(what, depends_on=number) as begins:
            assert begins == allowed
    assert len(attempts.warnings()) == 1
    attempts.succeeded("this", depends_on=1)
    with attempts.of("this", depends_on=1) as begins:
        assert begins
    assert attempts.warnings() == Attempts(tmp_path).warnings() == []


def test_a_mark_is_believed_for_a_month(tmp_path: Path) -> None:
    left_behind(tmp_path, "this")
    (mark,) = (tmp_path / "attempts").iterdir()
    long_ago = time.time() - BELIEVED_SECONDS - 1
    os.utime(mark, (long_ago, long_ago))
    assert Attempts(tmp_path).warnings() == [] and not mark.exists()


def test_where_the_disk_takes_no_mark_nothing_is_begun(tmp_path: Path) -> None:
    (tmp_path / "attempts").touch()
    with Attempts(tmp_path).of("this") as allowed:
        assert not allowed


def test_a_run_that_succeeds_lifts_what_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[Workload] = []
    monkeypatch.setattr("backend.training.warmer.rehearse", done.append)
    warmer = Warmer(left_behind(tmp_path, COMPILING, depends_on=smallest()), ProgramCache())
    warmer._fulfil(smallest, rehearse)
    assert done == []
    warmer.succeeded(smallest(), dataset="digits")
    warmer.start()
    eventually(lambda: done)
    warmer.close()
