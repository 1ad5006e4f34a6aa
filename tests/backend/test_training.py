"""Runs end exactly once, in the state that was promised, and the next one always gets its turn."""

from __future__ import annotations

import json
import logging
import queue
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import backend.state.checkpoints
import backend.training.executor
import backend.training.fetch
import backend.training.job_queue
from backend.events.benchmark_log import BenchmarkLog
from backend.events.log import EventLog
from backend.state.attempts import Attempts
from backend.state.checkpoints import Checkpoints
from backend.state.errors import UnknownRecord
from backend.state.lock import StateInUse
from backend.state.records import Json, RunRecord, RunState
from backend.state.store import Store
from backend.training.benchmark_handler import BenchmarkHandler
from backend.training.errors import Busy, NotActive, ShuttingDown
from backend.training.job import NewRun
from backend.training.library import Library
from backend.training.limits import Limits
from backend.training.progress import SHORTEST
from backend.training.runs import Runs
from backend.training.warmer import Warmer
from nets import datasets
from nets.architecture.read import parse_architecture
from nets.errors import CompilersBusy, DataError, TrainingError
from nets.hyperparams.hyperparams import parse_hyperparams
from nets.training.cache import ProgramCache
from nets.training.events import Finished, Log, Progress
from nets.training.metrics import EpochMetrics
from nets.training.samples import SamplePrediction
from tests.backend.samples import ARCHITECTURE, DEADLINE, a_model, add_run, eventually, read_frame
from tests.moved_clock import MovedClock

TRAINING = Progress("training", 0.5, 1, 3)
FINISHED = Finished(
    test_accuracy=0.75,
    test_loss=0.5,
    sample_predictions=[SamplePrediction(grid=[[0] * 28] * 28, label=3, prediction=4, confidence=0.5)],
    variables={"params": {"1_linear": {"bias": np.zeros(10, np.float32)}}, "batch_stats": {}},
    compile_seconds=0.25,
    device="cpu: test",
)


def metrics(epoch: int) -> EpochMetrics:
    return EpochMetrics(epoch, 0.5, 0.5, 0.75, 0.75, 0.1, 1.0, 100.0, epoch / 3, 1.0)


class Puppet:
    """A `fit` that the test leads: it yields what is put into `script`, raises exceptions, ends on None."""

    def __init__(self) -> None:
        self.script: queue.Queue[Any] = queue.Queue()
        self.started = threading.Event()
        self.closed = threading.Event()

    def __call__(self, *_: object, **__: object) -> Iterator[Any]:
        self.started.set()
        self.closed.clear()
        try:
            while (event := self.script.get(timeout=DEADLINE)) is not None:
                if isinstance(event, Exception):
                    raise event
                yield event
        finally:
            self.closed.set()

    def play(self, *events: Any) -> None:
        for event in events:
            self.script.put(event)


class Server:
    """The state of a server without HTTP, in a folder."""

    def __init__(self, folder: Path, limits: Limits | None = None, *, resume_interrupted: bool = False) -> None:
        self.store = Store(folder / "checkpoints" / "lamina.sqlite3")
        self.log = EventLog(self.store)
        self.checkpoints = Checkpoints(folder / "checkpoints")
        parts = self.store, self.log, self.checkpoints
        warmer = Warmer(Attempts(folder), ProgramCache())
        self.runs = Runs(
            *parts,
            data_dir=folder / "data",
            programs=ProgramCache(),
            warmer=warmer,
            limits=limits or Limits(),
            benchmarks=BenchmarkHandler(
                self.store, BenchmarkLog(self.store), Library(folder, folder / "data"), warmer, ProgramCache()
            ),
            resume_interrupted=resume_interrupted,
        )
        if self.store.get_model("m_1") is None:
            self.store.create_model(a_model())

    def start(self) -> Server:
        self.runs.start()
        return self

    def submit(self, *, queue: bool = False, dataset: str = "digits", named: bool = True, **hyperparams: Any) -> str:
        new = NewRun(
            model_id="m_1",
            architecture=parse_architecture(ARCHITECTURE),
            architecture_json=ARCHITECTURE,
            hyperparams=parse_hyperparams({"epochs": 3, **hyperparams}),
            dataset=dataset,
            named=named,
            warnings=["a warning"],
            queue=queue,
        )
        return self.runs.submit(new).run_id

    def record(self, run_id: str) -> RunRecord:
        record = self.store.get_run(run_id)
        assert record is not None
        return record

    def wait(self, run_id: str, state: RunState) -> RunRecord:
        eventually(lambda: self.record(run_id).state == state)
        return self.record(run_id)

    def history(self, run_id: str) -> list[tuple[str, Json]]:
        return [(event.name, event.data) for event in self.store.events(run_id)]

    def close(self) -> None:
        self.runs.shutdown()
        self.log.close()
        self.store.close()


@pytest.fixture
def fit(monkeypatch: pytest.MonkeyPatch) -> Puppet:
    puppet = Puppet()
    monkeypatch.setattr(backend.training.executor, "fit", puppet)
    monkeypatch.setattr(
        backend.training.executor, "load", lambda name, folder: SimpleNamespace(info=datasets.info(name))
    )
    return puppet


@pytest.fixture
def server(tmp_path: Path, fit: Puppet) -> Iterator[Server]:
    server = Server(tmp_path).start()
    yield server
    fit.play(None)
    server.close()


def told_places(server: Server, run_id: str) -> list[int | None]:
    """The places in the queue that the events of a run tell, one for each time that it was said to be queued."""
    five = {"run_id", "state", "error", "test_accuracy", "sample_predictions"}
    states = [data for name, data in server.history(run_id) if name == "state"]
    assert all(data.keys() - {"queue_position"} == five for data in states)
    return [data.get("queue_position") for data in states if data["state"] == "queued"]


def test_who_moves_up_in_the_queue_is_told(server: Server, fit: Puppet) -> None:
    first, second, third, fourth = (server.submit(queue=True) for _ in range(4))
    follower = server.log.follow(fourth, after=1)
    next(follower)
    server.runs.cancel(second)
    assert read_frame(next(follower))[1:] == ("state", server.history(fourth)[1][1])
    assert [told_places(server, run_id) for run_id in (third, fourth)] == [[2, 1], [3, 2]]
    fit.play(None)  # the first one fails
    server.wait(first, "failed")
    server.wait(third, "running")
    assert [told_places(server, run_id) for run_id in (third, fourth)] == [[2, 1], [3, 2, 1]]
    server.runs.cancel(fourth)
    assert server.history(fourth)[-1][1]["state"] == "cancelled"
    assert [told_places(server, run_id) for run_id in (first, second)] == [[None], [1]]


def test_a_queue_that_cannot_tell_places_goes_on(server: Server, fit: Puppet, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> dict[str, int]:
        raise sqlite3.OperationalError("database or disk is full")

    first, second, third = (server.submit(queue=True) for _ in range(3))
    server.wait(first, "running")
    monkeypatch.setattr(server.store, "append_to_each", full)
    server.runs.cancel(second)
    assert server.record(second).state == "cancelled" and server.runs.queue_position(third) == 1


def test_a_run_from_the_queue_to_its_weights(
    server: Server, fit: Puppet, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="lamina.runs")
    run_id = server.submit()
    fit.play(TRAINING, metrics(1), Log("info", "half way"), metrics(2), metrics(3), FINISHED)
    run = server.wait(run_id, "succeeded")
    assert [name for name, _ in server.history(run_id)] == [
        *("state", "state", "log", "metric", "log", "metric", "metric", "state")
    ]
    states = [data["state"] for name, data in server.history(run_id) if name == "state"]
    assert states == ["queued", "running", "succeeded"]
    terminal = server.history(run_id)[-1][1]
    assert (terminal["test_accuracy"], terminal["error"]) == (0.75, None)
    assert terminal["sample_predictions"] == run.sample_predictions
    assert run.sample_predictions is not None and run.sample_predictions[0]["prediction"] == 4
    assert [metric["epoch"] for metric in run.metrics] == [1, 2, 3] and run.metrics[0]["run_id"] == run_id
    assert (run.epoch, run.test_accuracy, run.test_loss, run.precision) == (3, 0.75, 0.5, "float32")
    assert (run.device, run.compile_seconds) == ("cpu: test", 0.25) and run.versions is not None
    assert run.warnings == ["a warning"]
    described = json.loads((tmp_path / "checkpoints" / run_id / "run.json").read_text())
    assert described["weights_sha256"] == run.weights_sha256
    assert described["classes"] == [str(digit) for digit in range(10)]
    assert described["architecture"] == ARCHITECTURE and len(described["metrics"]) == 3
    assert described["hyperparams"]["batch_size"] == 64 and described["test_accuracy"] == 0.75
    assert server.checkpoints.exists(run.saved_model_path)
    model = server.store.get_model("m_1")
    assert model is not None and model.last_trained_at == run.completed_at and model.highest_accuracy == 0.75
    eventually(lambda: any("succeeded" in line for line in caplog.messages))
    assert [line for line in caplog.messages if run_id in line] == [
        f"run {run_id} queued",
        f"run {run_id} running",
        f"run {run_id} succeeded",
    ]


def test_a_second_run_is_refused_or_waits_its_turn(server: Server, fit: Puppet) -> None:
    first = server.submit()
    with pytest.raises(Busy) as busy:
        server.submit()
    assert busy.value.active_id == first == server.runs.busy()
    second, third, fourth = [server.submit(queue=True) for _ in range(3)]
    assert [server.runs.queue_position(run_id) for run_id in (second, third, fourth)] == [1, 2, 3]
    assert server.history(fourth)[0][1]["queue_position"] == 3
    eventually(lambda: server.runs.active() == first)
    assert server.runs.queue_length() == 3 and server.runs.queue_position(first) is None
    server.runs.cancel(third)
    assert server.record(third).state == "cancelled"  # at once
    assert server.runs.queue_position(fourth) == 2
    for run_id in (first, second, fourth):
        eventually(lambda run_id=run_id: server.runs.active() == run_id)
        fit.play(FINISHED)
        server.wait(run_id, "succeeded")
    assert server.runs.busy() is None and len(server.store.list_runs()) == 4


def test_who_hears_of_the_end_can_submit_at_once(server: Server, fit: Puppet) -> None:
    for _ in range(20):
        run_id = server.submit()
        fit.play(FINISHED)
        *_, last = server.log.follow(run_id, after=0)
        assert read_frame(last)[2]["state"] == "succeeded"


def test_only_one_of_many_simultaneous_submits_wins(server: Server, fit: Puppet) -> None:
    door = threading.Barrier(8)

    def submit(_: int) -> str | None:
        door.wait(DEADLINE)
        try:
            return server.submit()
        except Busy:
            return None

    with ThreadPoolExecutor(8) as pool:
        winners = [run_id for run_id in pool.map(submit, range(8)) if run_id]
    assert len(winners) == 1 and len(server.store.list_runs()) == 1


def test_a_run_of_a_deleted_model_is_refused(server: Server) -> None:
    server.store.delete_model("m_1")
    with pytest.raises(UnknownRecord):
        server.submit()
    assert server.runs.busy() is None


def test_a_cancelled_run_stops_where_fit_yields_next(server: Server, fit: Puppet) -> None:
    run_id = server.submit()
    assert fit.started.wait(DEADLINE)  # and now it "compiles"
    fit.play(metrics(1))
    eventually(lambda: server.record(run_id).epoch == 1)
    server.runs.cancel(run_id)
    server.runs.cancel(run_id)  # an impatient client
    assert server.record(run_id).state == "running"
    fit.play(TRAINING)
    run = server.wait(run_id, "cancelled")
    assert fit.closed.wait(DEADLINE)
    assert (run.error, run.epoch, run.saved_model_path) == (None, 1, None) and run.completed_at
    with pytest.raises(NotActive) as refused:
        server.runs.cancel(run_id)
    assert refused.value.state == "cancelled"
    with pytest.raises(UnknownRecord):
        server.runs.cancel("r_0")


def test_a_failure_after_a_cancel_is_a_cancel(server: Server, fit: Puppet) -> None:
    run_id = server.submit()
    assert fit.started.wait(DEADLINE)
    server.runs.cancel(run_id)
    fit.play(TrainingError("too late"))
    assert server.wait(run_id, "cancelled").error is None


def test_a_cancel_in_the_moment_of_success_wins_or_is_refused(server: Server, fit: Puppet) -> None:
    for number in range(30):
        run_id = server.submit()
        eventually(lambda run_id=run_id: server.record(run_id).state == "running")
        fit.play(FINISHED)
        threading.Event().wait(number * 0.0004)
        try:
            server.runs.cancel(run_id)
            promised: RunState = "cancelled"
        except NotActive as refused:
            promised = refused.state
            assert promised == "succeeded"
        frames = [read_frame(frame) for frame in server.log.follow(run_id, after=0)]
        run = server.record(run_id)
        assert run.state == promised == frames[-1][2]["state"]
        assert [frame[0] for frame in frames if frame[0]] == list(range(1, len(server.history(run_id)) + 1))
        assert server.checkpoints.folder(run_id).exists() == (promised == "succeeded")


def test_a_cancel_while_the_weights_are_written_leaves_none(
    server: Server, fit: Puppet, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = backend.state.checkpoints.save_weights
    writing, go_on = threading.Event(), threading.Event()

    def slowly(path: Path, variables: Any) -> str:
        writing.set()
        assert go_on.wait(DEADLINE)
        return save(path, variables)

    monkeypatch.setattr(backend.state.checkpoints, "save_weights", slowly)
    run_id = server.submit()
    fit.play(FINISHED)
    assert writing.wait(DEADLINE)
    server.runs.cancel(run_id)
    go_on.set()
    assert server.wait(run_id, "cancelled").test_accuracy is None
    assert not server.checkpoints.folder(run_id).exists()


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (TrainingError("training diverged in step 3 (epoch 1)"), "training diverged in step 3 (epoch 1)"),
        (KeyError("oh"), "internal error: KeyError: 'oh'"),
        (ValueError("first line\nFile secret.py"), "internal error: ValueError: first line"),
        (OSError(28, "No space left on device", "/home/secret"), "internal error: OSError: No space left on device"),
        (RuntimeError(), "internal error: RuntimeError: no further reason given"),
        (TrainingError("\ud800"), "\\ud800"),
        (None, "internal error: RuntimeError: fit ended without a result"),
    ],
)
def test_a_failure_is_told_in_a_sentence_and_the_next_run_trains(
    server: Server, fit: Puppet, error: Exception | None, told: str
) -> None:
    run_id = server.submit()
    fit.play(metrics(1), error)
    assert server.wait(run_id, "failed").error == told
    assert server.history(run_id)[-1][1]["error"] == told
    after = server.submit()
    fit.play(FINISHED)
    server.wait(after, "succeeded")


def test_a_result_that_is_no_number_is_a_failure_without_weights(server: Server, fit: Puppet) -> None:
    run_id = server.submit()
    fit.play(Finished(float("nan"), 0.5, [], {}, 0.0, "cpu"))
    assert "Out of range float" in (server.wait(run_id, "failed").error or "")
    assert not server.checkpoints.folder(run_id).exists()


def no_download(name: str, *_: object, **__: object) -> None:
    raise DataError(f"{name} is out of reach; prepare it elsewhere")


@pytest.fixture
def nothing_cached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend.training.executor, "is_cached", lambda name, folder: name == "digits")


@pytest.mark.usefixtures("nothing_cached")
def test_a_data_set_that_the_request_named_is_never_replaced(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend.training.executor, "fetch", no_download)
    run = server.wait(server.submit(dataset="mnist"), "failed")
    assert (run.error, run.dataset) == ("mnist is out of reach; prepare it elsewhere", "mnist")


@pytest.mark.usefixtures("nothing_cached")
def test_a_data_set_of_the_servers_choice_gives_way_to_digits(
    server: Server, fit: Puppet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend.training.executor, "fetch", no_download)
    run_id = server.submit(dataset="mnist", named=False)
    fit.play(FINISHED)
    run = server.wait(run_id, "succeeded")
    warning = "mnist cannot be had, so this run trains on digits: mnist is out of reach; prepare it elsewhere"
    assert (run.dataset, run.warnings) == ("digits", ["a warning", warning])
    logs = [data for name, data in server.history(run_id) if name == "log"]
    assert logs[-1] == {"run_id": run_id, "level": "warning", "message": warning}


@pytest.mark.timed
@pytest.mark.usefixtures("nothing_cached")
def test_a_cancel_while_a_data_set_is_fetched_takes_less_than_a_second(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = """if True:
        import time
        while True:
            print('{"fraction": 0.5, "message": "half of it"}', flush=True)
            time.sleep(0.05)
        """
    monkeypatch.setattr(backend.training.fetch, "command", lambda name, folder: [sys.executable, "-c", slow])
    run_id = server.submit(dataset="mnist")
    stream = server.log.follow(run_id, after=0)
    eventually(lambda: b'"phase":"loading"' in (frame := next(stream)) and b"half of it" in frame)
    began = time.monotonic()
    server.runs.cancel(run_id)
    server.wait(run_id, "cancelled")
    assert time.monotonic() - began < 1


@pytest.mark.timed
def test_progress_flows_while_the_compiler_is_silent(server: Server, fit: Puppet) -> None:
    run_id = server.submit()
    fit.play(Progress("compiling", 0.0, 0, 3))
    frames = iter(server.log.follow(run_id, after=0))
    eventually(lambda: b"compiling" in next(frames))
    for _ in range(3):
        began = time.monotonic()
        name, data = read_frame(next(frames))[1:]
        assert name == "progress" and time.monotonic() - began < 1.5  # 0.4 on a machine that is not busy
    assert data == {"run_id": run_id, "phase": "compiling", "fraction": 0.0, "epoch": 0, "epochs_total": 3}


def test_a_flood_of_progress_is_thinned_out(server: Server, fit: Puppet) -> None:
    began = time.monotonic()
    run_id = server.submit()
    stream: Future[list[bytes]]
    with ThreadPoolExecutor(1) as pool:
        stream = pool.submit(list, server.log.follow(run_id, after=0))
        fit.play(*[TRAINING] * 2000, Progress("evaluating", 1.0, 3, 3, 1000.0), FINISHED)
        frames = [read_frame(frame) for frame in stream.result(DEADLINE)]
    shown = [data for _, name, data in frames if name == "progress"]
    assert len(shown) <= (time.monotonic() - began) / SHORTEST + 5  # one more for each phase
    assert frames[-1][1] == "state"


def test_shutdown_ends_the_active_run_and_keeps_who_asked_to_queue(tmp_path: Path, fit: Puppet) -> None:
    before = Server(tmp_path).start()
    active, second, third = before.submit(), before.submit(queue=True), before.submit(queue=True)
    fit.play(metrics(1))
    eventually(lambda: before.record(active).epoch == 1)
    stream = before.log.follow(active, after=0)
    fit.play(TRAINING, TRAINING)
    stopper = threading.Thread(target=before.runs.shutdown)
    stopper.start()
    eventually(lambda: before.runs._stopping)
    fit.play(TRAINING)
    stopper.join(DEADLINE)
    assert "in epoch 2 of 3" in (before.record(active).error or "")
    assert read_frame(list(stream)[-1])[2]["state"] == "failed"
    with pytest.raises(ShuttingDown):
        before.submit()
    before.close()

    after = Server(tmp_path)
    assert [after.record(run_id).state for run_id in (second, third)] == ["queued", "queued"]
    fit.script = queue.Queue()
    after.start()
    assert after.runs.queue_position(third) in (1, 2)
    fit.play(FINISHED, FINISHED)
    assert after.wait(second, "succeeded").completed_at < (after.wait(third, "succeeded").completed_at or "")
    after.close()


def test_shutdown_goes_on_where_the_record_of_a_run_is_damaged(tmp_path: Path, fit: Puppet) -> None:
    server = Server(tmp_path).start()
    active, waiting = server.submit(), server.submit(queue=True)
    assert fit.started.wait(DEADLINE)
    server.store._writer.execute("UPDATE runs SET dataset = 'digitz' WHERE run_id = ?", (active,))
    server.runs.shutdown(timeout=0.2)
    assert not server.runs.owns_state() and server.record(waiting).state == "queued"
    fit.play(TRAINING)
    server.close()


@pytest.mark.timed
def test_shutdown_does_not_wait_for_a_compiler_for_ever(tmp_path: Path, fit: Puppet) -> None:
    server = Server(tmp_path).start()
    run_id = server.submit()
    assert fit.started.wait(DEADLINE)
    began = time.monotonic()
    server.runs.shutdown(timeout=0.2)
    assert time.monotonic() - began < 2
    assert (server.record(run_id).error or "").startswith("interrupted: the server stopped while this run was in epoch")
    history = server.history(run_id)
    fit.play(FINISHED)  # the compiler returns at last
    server.runs._thread.join(DEADLINE)
    assert server.history(run_id) == history
    server.close()


def test_a_start_after_a_crash_ends_what_was_cut_off(tmp_path: Path, fit: Puppet) -> None:
    server = Server(tmp_path)
    for run_id in ("r_cut", "r_lost", "r_bad"):
        add_run(server.store, run_id, queued=run_id == "r_bad", architecture={"layers": "no list"})
    server.store.transition("r_cut", "running", data={})
    server.store.append_event("r_cut", "metric", {"epoch": 2}, epoch=2)
    server.checkpoints.write("r_cut", {}, {"params": {}, "batch_stats": {}})
    stream = server.log.follow("r_cut", after=0)
    server.start()
    cut, lost, bad = (server.record(run_id) for run_id in ("r_cut", "r_lost", "r_bad"))
    assert {run.state for run in (cut, lost, bad)} == {"failed"}
    assert (cut.error or "").startswith("interrupted: the server stopped while this run was in epoch 3 of 3.")
    assert (lost.error or "").startswith("interrupted: the server stopped before this run began.")
    assert "layers" in (bad.error or "")
    assert not server.checkpoints.folder("r_cut").exists()
    assert read_frame(list(stream)[-1])[2]["error"] == cut.error
    run_id = server.submit()
    fit.play(FINISHED)
    server.wait(run_id, "succeeded")
    server.close()


def test_two_servers_do_not_share_a_state_directory(server: Server, tmp_path: Path) -> None:
    second = Server(tmp_path)
    with pytest.raises(StateInUse, match="another Lamina server uses the state directory"):
        second.runs.start(patience=0.1)
    second.close()


def test_the_end_of_a_run_waits_for_a_store_that_fails(
    server: Server, fit: Puppet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend.training.job_queue, "RETRY", 0.01)
    run_id = server.submit()
    assert fit.started.wait(DEADLINE)
    transition: Callable[..., int] = server.store.transition
    refusals = [sqlite3.OperationalError("database or disk is full") for _ in range(2)]

    def full(*arguments: Any, **fields: Any) -> int:
        if refusals:
            raise refusals.pop()
        return transition(*arguments, **fields)

    monkeypatch.setattr(server.store, "transition", full)
    fit.play(FINISHED)
    assert server.wait(run_id, "succeeded").test_accuracy == 0.75
    assert not refusals


def test_many_runs_leave_no_threads_and_no_log_in_memory(server: Server, fit: Puppet) -> None:
    threads = threading.active_count()
    for _ in range(30):
        run_id = server.submit()
        fit.play(metrics(1), FINISHED)
        assert len(list(server.log.follow(run_id, after=0))) >= 5
    eventually(lambda: threading.active_count() <= threads)
    assert server.log._channels == {}


def test_a_real_training_on_digits(tmp_path: Path) -> None:
    server = Server(tmp_path).start()
    run_id = server.submit(epochs=2, max_samples=256)
    frames = [read_frame(frame) for frame in server.log.follow(run_id, after=0)]
    run = server.record(run_id)
    server.close()
    assert run.state == "succeeded", run.error
    assert [data["epoch"] for _, name, data in frames if name == "metric"] == [1, 2]
    assert any(name == "progress" for _, name, _ in frames)  # which phases, depends on what is in memory already
    assert run.sample_predictions is not None and len(run.sample_predictions) == 8
    assert server.checkpoints.exists(run.saved_model_path)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> MovedClock:
    """That by which the executor counts how long a run has been compiled."""
    clock = MovedClock()
    monkeypatch.setattr(backend.training.executor, "time", clock)
    return clock


def test_what_takes_too_long_to_compile_fails_with_the_cure(tmp_path: Path, fit: Puppet, clock: MovedClock) -> None:
    server = Server(tmp_path, Limits(compile_seconds=1)).start()
    run_id = server.submit()

    def failed() -> bool:
        clock.now += 0.1
        fit.play(Progress("compiling", 0.0, 0, 3))
        return server.record(run_id).state == "failed"

    eventually(failed)
    run = server.record(run_id)
    server.close()
    assert run.error is not None and run.resumable
    assert "longer than the 1 s that are allowed" in run.error and "--max-compile-seconds" in run.error


def test_the_limit_counts_from_the_beginning_of_compilation(tmp_path: Path, fit: Puppet, clock: MovedClock) -> None:
    server = Server(tmp_path, Limits(compile_seconds=1)).start()
    run_id = server.submit()
    fit.play(Progress("loading", 0.0, 0, 3))
    assert fit.started.wait(DEADLINE)
    clock.now += 1.1
    fit.play(Progress("compiling", 0.0, 0, 3), FINISHED)
    server.wait(run_id, "succeeded")
    server.close()


def test_too_many_compilations_hold_a_run_back(server: Server, fit: Puppet) -> None:
    fit.play(CompilersBusy("16 programs of networks are being compiled; wait until some are done"))
    run = server.wait(server.submit(), "failed")
    assert run.resumable and run.error is not None and run.error.startswith("16 programs of networks are being comp")


def test_a_run_that_no_longer_fits_keeps_what_it_has_reached(
    server: Server, fit: Puppet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it waited others took the memory that was free when it was accepted."""
    with monkeypatch.context() as short:
        short.setattr(Limits, "memory", lambda self, *_: 1_000_000)
        record = server.wait(run_id := server.submit(), "failed")
    assert record.error is not None and "are available" in record.error and "/resume" in record.error
    assert record.resumable and not fit.started.is_set()
    fit.play(FINISHED)
    architecture, hyperparams = parse_architecture(record.architecture), parse_hyperparams(record.hyperparams)
    server.runs.resume(record, architecture=architecture, hyperparams=hyperparams, queue=False)
    server.wait(run_id, "succeeded")
