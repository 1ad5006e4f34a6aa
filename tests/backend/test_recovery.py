"""What the end of a server cut off goes on by itself, in order, where that is wanted."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from tests.backend.samples import DEADLINE, add_run
from tests.backend.test_training import FINISHED, Puppet, Server


@pytest.fixture
def fit(monkeypatch: pytest.MonkeyPatch) -> Puppet:
    puppet = Puppet()
    monkeypatch.setattr("backend.training.executor.fit", puppet)
    return puppet


def killed_while(folder: Path, *run_ids: str, epoch: int = 0, **fields: object) -> None:
    """A state in which the first run trains and the others wait, with nobody at work on it."""
    server = Server(folder)
    for run_id in run_ids:
        if server.store.get_run(run_id) is None:
            add_run(server.store, run_id, **fields)
    server.store.transition(run_ids[0], "running", data={})
    server.store.update_run(run_ids[0], epoch=epoch)
    server.store.close()


def started(folder: Path, *, resume_interrupted: bool = True) -> tuple[Server, list[str]]:
    """A server that has taken the state over and trains nothing, and the runs of its queue in their order."""
    server = Server(folder, resume_interrupted=resume_interrupted)
    jobs = server.runs._recovery.jobs()
    return server, [job.run_id for job in jobs]


def stop(server: Server) -> None:
    server.store.close()


def test_the_run_that_trained_goes_first_then_those_that_waited(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    killed_while(tmp_path, "r_active", "r_second", "r_third", epoch=2)
    server = Server(tmp_path)
    add_run(server.store, "r_asked_to_wait", queued=True)
    server.store.close()
    with caplog.at_level(logging.INFO, logger="lamina.runs"):
        server, order = started(tmp_path)
    assert order == ["r_active", "r_second", "r_third", "r_asked_to_wait"]
    run = server.record("r_active")
    assert (run.state, run.epoch, run.error, run.resumable, run.queued) == ("queued", 2, None, False, True)
    *_, cut, queued, log = server.store.events("r_active")
    assert (cut.data["state"], cut.data["was"], queued.data["state"]) == ("interrupted", "failed", "queued")
    told = "resumed by itself (--resume-interrupted): the server stopped while this run was in epoch 3 of 3"
    assert (log.name, log.data["level"], log.data["message"]) == ("log", "info", told)
    assert f"run r_active {told}" in caplog.messages
    stop(server)


def test_without_the_setting_they_wait_for_a_client_and_go_on_at_a_start_with_it(tmp_path: Path) -> None:
    killed_while(tmp_path, "r_active", "r_second")
    server, order = started(tmp_path, resume_interrupted=False)
    assert order == [] and server.record("r_active").resumable
    stop(server)
    server, order = started(tmp_path)
    assert order == ["r_active", "r_second"]
    stop(server)


def test_an_orderly_end_cuts_off_as_well(tmp_path: Path, fit: Puppet) -> None:
    server = Server(tmp_path).start()
    active, waiting = server.submit(), server.submit(queue=True)
    assert fit.started.wait(DEADLINE)
    server.runs.shutdown(timeout=0.2)
    fit.play(None)
    server.runs._thread.join(DEADLINE)
    stop(server)
    server = Server(tmp_path, resume_interrupted=True).start()
    fit.play(FINISHED, FINISHED)
    for run_id in (active, waiting):
        server.wait(run_id, "succeeded")
    server.close()


def test_what_a_client_cancelled_stays_cancelled_though_the_server_was_killed_first(
    tmp_path: Path, fit: Puppet
) -> None:
    server = Server(tmp_path).start()
    run_id = server.submit()
    assert fit.started.wait(DEADLINE)
    server.runs.cancel(run_id)
    assert server.record(run_id).state == "running"
    later = Server(tmp_path, resume_interrupted=True)
    assert later.runs._recovery.jobs() == []
    assert (later.record(run_id).state, later.record(run_id).resumable) == ("cancelled", True)
    later.log.resume(run_id, queued=False, queue_position=None)
    assert not later.record(run_id).cancel_asked, "who resumes it takes that back"
    stop(later)
    fit.play(None)
    server.close()


def test_a_run_that_ends_the_server_again_in_the_same_epoch_is_left(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    killed_while(tmp_path, "r_1", "r_2", epoch=1)
    for _ in range(2):  # it gets further the first time, and no further the second
        server, order = started(tmp_path)
        assert order == ["r_1", "r_2"]
        stop(server)
        killed_while(tmp_path, "r_1", epoch=2)
    server, order = started(tmp_path)
    assert order == ["r_2"]
    run = server.record("r_1")
    assert (run.state, run.resumable) == ("failed", True) and (run.error or "").startswith("interrupted: ")
    assert "was resumed by itself, and the server ended again in epoch 3 of 3: it stays" in run.warnings[-1]
    *_, log, end = server.store.events("r_1")
    assert (log.name, log.data["level"], end.data["state"]) == ("log", "warning", "failed")
    assert any("it stays interrupted" in message for message in caplog.messages)
    stop(server)
    server, order = started(tmp_path)
    assert order == ["r_2"], "nor at a later start"
    server.log.resume("r_1", queued=False, queue_position=None)
    stop(server)
    killed_while(tmp_path, "r_1", epoch=2)
    server, order = started(tmp_path)
    assert order == ["r_1", "r_2"], "a client has resumed it since"
    stop(server)


def test_runs_that_failed_by_themselves_or_could_not_be_written_are_left(tmp_path: Path) -> None:
    server = Server(tmp_path)
    for run_id, fields in {"r_failed": {}, "r_full": {"resumable": True, "error": "interrupted: its"}}.items():
        add_run(server.store, run_id)
        server.store.transition(run_id, "failed", data={}, **fields)
    stop(server)
    server, order = started(tmp_path)
    assert order == []
    stop(server)


def test_a_definition_that_is_no_longer_valid_stays_interrupted(tmp_path: Path) -> None:
    killed_while(tmp_path, "r_old", architecture={"layers": "no list"})
    server, order = started(tmp_path)
    assert order == [] and server.record("r_old").resumable
    stop(server)
