"""Runs in the queue: how they get into it, and what the queue has done with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from backend.events.log import EventLog
from backend.state.checkpoints import Checkpoints
from backend.state.deaths import take_note
from backend.state.records import RunRecord, RunState
from backend.state.store import Store
from backend.training.benchmark_handler import BenchmarkHandler
from backend.training.executor import Executor
from backend.training.job import Job, Kind, NewRun, RunJob
from backend.training.job_queue import Handler, JobQueue
from backend.training.limits import Limits
from backend.training.outcome import Outcome, cancelled, interrupted
from backend.training.recovery import Recovery, discard, say
from backend.training.warmer import Warmer
from nets.architecture.architecture import Architecture
from nets.hyperparams.hyperparams import Hyperparams
from nets.training.cache import ProgramCache


@dataclass(frozen=True)
class RunHandler:
    """What the queue has done with runs."""

    store: Store
    log: EventLog
    checkpoints: Checkpoints
    executor: Executor

    def carry_out(self, job: RunJob) -> Outcome:
        return self.executor.carry_out(job)

    def end(self, job: RunJob, outcome: Outcome) -> None:
        if job.reason == "cancelled":  # promised to a client before the run ended by itself
            outcome = replace(cancelled(), facts=outcome.facts)
        if outcome.state != "succeeded":
            discard(self.checkpoints, job.run_id, resumable=outcome.fields.get("resumable", False))
        self.log.transition(job.run_id, cast(RunState, outcome.state), **outcome.facts, **outcome.fields)
        say(job.run_id, outcome)

    def leave(self, job: RunJob) -> None:
        discard(self.checkpoints, job.run_id, resumable=True)

    def promise(self, job: RunJob) -> None:
        self.store.update_run(job.run_id, cancel_asked=True)

    def cut_off(self, job: RunJob, *, begun: bool) -> Outcome:
        return interrupted(job.run_id, epoch=job.epoch, epochs_total=job.hyperparams.epochs, begun=begun)

    def move(self, places: Mapping[str, int]) -> None:
        self.log.move(places)

    def state_of(self, identifier: str) -> str:
        return self.store.tail(identifier)[0]


class Runs(JobQueue):
    """Submits, queues, trains and ends runs, and benchmarks between them."""

    def __init__(
        self,
        store: Store,
        log: EventLog,
        checkpoints: Checkpoints,
        *,
        data_dir: Path,
        programs: ProgramCache,
        warmer: Warmer,
        limits: Limits,
        benchmarks: BenchmarkHandler,
        resume_interrupted: bool = False,
    ) -> None:
        """`resume_interrupted`: runs that the end of a former server cut off go on by themselves."""
        executor = Executor(store, log, checkpoints, data_dir=data_dir, programs=programs, warmer=warmer, limits=limits)
        handlers: dict[Kind, Handler[Any]] = {
            "run": RunHandler(store, log, checkpoints, executor),
            "benchmark": benchmarks,
        }
        super().__init__(checkpoints.root, handlers, places=limits.queue)
        self._store, self._log, self._checkpoints, self._benchmarks = store, log, checkpoints, benchmarks
        self._recovery = Recovery(store, log, checkpoints, resume_interrupted)

    def start(self, *, patience: float = 3.0) -> None:
        """Take the state directory, end what a former server left running, and start the training thread.

        `patience`: seconds to wait for a predecessor that is just leaving; then `StateInUse`.
        """
        self.begin(self._left_over, patience=patience)

    def _left_over(self) -> list[Job]:
        """Runs as they are recovered, and benchmarks between them, each before what came later."""
        cause = take_note(self._checkpoints.root)
        jobs = list[Job](self._recovery.jobs(cause))
        for benchmark in self._benchmarks.left_over(cause):
            place = len(jobs)
            while place and jobs[place - 1].created_at > benchmark.created_at:
                place -= 1
            jobs.insert(place, benchmark)
        return jobs

    def submit(self, new: NewRun) -> RunRecord:
        """Record a new run as queued and hand it to the training thread.

        Raises as `admit` does, and `UnknownRecord` if the model is gone.
        """
        kept: list[RunRecord] = []

        def job_at(place: int | None) -> RunJob:
            record = new.record()
            if new.snapshot:  # a copy of its own: the source may be deleted while this run waits
                self._checkpoints.keep(record.run_id, new.snapshot)
            try:
                kept.append(self._log.create(record, queue_position=place))
            except BaseException:
                discard(self._checkpoints, record.run_id)
                raise
            return RunJob.of(kept[0], architecture=new.architecture, hyperparams=new.hyperparams)

        self.enter(job_at, queue=new.queue)
        return kept[0]

    def resume(
        self, record: RunRecord, *, architecture: Architecture, hyperparams: Hyperparams, queue: bool
    ) -> RunRecord:
        """Hand a run that was cut off to the training thread again; its record afterwards.

        Raises as `admit` does, and `WrongState` where the run is not resumable any more.
        """
        kept: list[RunRecord] = []

        def job_at(place: int | None) -> RunJob:
            self._log.resume(record.run_id, queued=queue, queue_position=place)
            resumed = self._store.get_run(record.run_id)
            assert resumed is not None, "a model with a queued run cannot be deleted"
            kept.append(resumed)
            return RunJob.of(resumed, architecture=architecture, hyperparams=hyperparams)

        self.enter(job_at, queue=queue)
        return kept[0]

    def in_words(self, run: RunRecord) -> str:
        """A run's state, for a sentence."""
        return f"{run.state} and being cancelled" if run.run_id == self.cancelling() else run.state
