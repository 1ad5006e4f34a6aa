"""How a worker died is told: to the log, to health, and to the run that was cut off."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from backend.state.deaths import LONGEST_PAUSE, Deaths, cause_of, take_note
from tests.backend.conftest import offline_app, parts
from tests.backend.samples import add_run


@pytest.mark.parametrize(
    ("exit_code", "out_of_memory", "hung", "cause"),
    [
        (-9, True, False, "killed by the system: out of memory"),
        (-9, False, False, "killed (SIGKILL)"),
        (-9, True, True, "hung"),
        (-11, True, False, "crashed (SIGSEGV)"),
        (-40, False, False, "crashed (signal 40)"),
        (1, False, False, "ended with exit code 1"),
    ],
)
def test_the_cause_is_named(exit_code: int, out_of_memory: bool, hung: bool, cause: str) -> None:
    assert cause_of(exit_code, out_of_memory=out_of_memory, hung=hung) == cause


def test_who_dies_young_again_and_again_is_replaced_ever_later(tmp_path: Path) -> None:
    deaths = Deaths(tmp_path)
    assert [deaths.add("hung", lived=5.0) for _ in range(5)] == [0, 1, 2, 4, 8]
    assert max(deaths.add("hung", lived=5.0) for _ in range(5)) == LONGEST_PAUSE
    assert "10 times in a row within a minute of its start" in deaths.warnings()[0]
    assert deaths.add("hung", lived=3600.0) == 0
    (warning,) = deaths.warnings()
    assert warning.startswith("the worker process died at ") and warning.endswith(
        " UTC: hung; the next one started at once"
    )


@pytest.mark.parametrize(
    ("exit_code", "error"),
    [
        (-signal.SIGKILL, "interrupted: killed by the system: out of memory, while this run was in epoch 2 of 3. "),
        (-signal.SIGSEGV, "interrupted: the server crashed (SIGSEGV) while this run was in epoch 2 of 3. "),
    ],
)
def test_the_run_that_was_cut_off_says_so(tmp_path: Path, exit_code: int, error: str) -> None:
    app = offline_app(tmp_path)
    add_run(parts(app).store)
    parts(app).store.transition("r_1", "running", data={})
    parts(app).store.update_run("r_1", epoch=1)
    state_dir = parts(app).settings.state_dir
    parts(app).close()
    deaths = Deaths(state_dir)
    deaths.add(cause_of(exit_code, out_of_memory=True, hung=False), lived=1.0)
    for _ in range(2):
        app = offline_app(tmp_path, deaths=deaths)
        record = app.test_client().get("/api/runs/r_1").json
        assert record["state"] == "failed" and record["resumable"] and record["error"].startswith(error)
        assert record["error"].endswith("POST /api/runs/r_1/resume.")
        assert app.test_client().get("/api/health").json["warnings"] == deaths.warnings() != []
        parts(app).close()
    assert take_note(state_dir) is None, "it is told once"
