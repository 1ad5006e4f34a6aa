"""Runs: the queue and the one thread that trains."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections import deque
from dataclasses import replace
from pathlib import Path

from backend.events.log import EventLog
from backend.state.checkpoints import Checkpoints
from backend.state.errors import UnknownRecord, UnreadableRecord, WrongState
from backend.state.lock import StateLock, own
from backend.state.records import RunRecord, Standing
from backend.state.store import Store
from backend.training.errors import Busy, NotActive, QueueFull, ShuttingDown
from backend.training.executor import Executor
from backend.training.job import Job, NewRun
from backend.training.limits import Limits
from backend.training.outcome import Outcome, cancelled, interrupted
from backend.training.recovery import Recovery, discard, say
from backend.training.warmer import Warmer
from nets.architecture.architecture import Architecture
from nets.hyperparams.hyperparams import Hyperparams
from nets.process import allocator
from nets.training.cache import ProgramCache

logger = logging.getLogger("lamina.runs")

GRACE = 0.5  # seconds in which a run that shall stop ends by itself
RETRY = 1.0  # seconds until the end of a run is recorded again, when the store refused it
OTHERS_WERE_THERE = (WrongState, UnknownRecord, UnreadableRecord)  # the row of a run is gone, or is not as we left it


class Runs:
    """Submits, queues, trains and ends runs. Everything that decides about a run happens under one lock.

    The lock is also held while a terminal state is recorded and told, so that who hears of it can submit the next run
    at once, and so that a cancel comes either before the end (and wins) or after it (and is refused).
    """

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
        resume_interrupted: bool = False,
    ) -> None:
        """`resume_interrupted`: runs that the end of a former server cut off go on by themselves."""
        self._store, self._log, self._checkpoints = store, log, checkpoints
        self._places = limits.queue
        self._executor = Executor(
            store, log, checkpoints, data_dir=data_dir, programs=programs, warmer=warmer, limits=limits
        )
        self._recovery = Recovery(store, log, checkpoints, resume_interrupted)
        self._state_lock: StateLock | None = None
        self._condition = threading.Condition()
        self._queue: deque[Job] = deque()
        self._active: Job | None = None
        self._stopping = False
        self._thread = threading.Thread(target=self._work, name="training", daemon=True)

    def start(self, *, patience: float = 3.0) -> None:
        """Take the state directory, end what a former server left running, and start the training thread.

        `patience`: seconds to wait for a predecessor that is just leaving; then `StateInUse`.
        """
        self._state_lock = own(self._checkpoints.root, patience=patience)
        with self._condition:
            self._queue.extend(self._recovery.jobs())
        self._thread.start()

    def submit(self, new: NewRun) -> RunRecord:
        """Record a new run as queued and hand it to the training thread.

        Raises as `admit` does, and `UnknownRecord` if the model is gone.
        """
        with self._condition:
            self.admit(new.queue)
            record = new.record()
            if new.snapshot:  # a copy of its own: the source may be deleted while this run waits
                self._checkpoints.keep(record.run_id, new.snapshot)
            try:
                record = self._log.create(record, queue_position=self._next_place())
            except BaseException:
                discard(self._checkpoints, record.run_id)
                raise
            self._enqueue(Job.of(record, architecture=new.architecture, hyperparams=new.hyperparams))
        return record

    def resume(
        self, record: RunRecord, *, architecture: Architecture, hyperparams: Hyperparams, queue: bool
    ) -> RunRecord:
        """Hand a run that was cut off to the training thread again; its record afterwards.

        Raises as `admit` does, and `WrongState` where the run is not resumable any more.
        """
        with self._condition:
            self.admit(queue)
            self._log.resume(record.run_id, queued=queue, queue_position=self._next_place())
            resumed = self._store.get_run(record.run_id)
            assert resumed is not None, "a model with a queued run cannot be deleted"
            self._enqueue(Job.of(resumed, architecture=architecture, hyperparams=hyperparams))
        return resumed

    def admit(self, queue: bool) -> None:
        """Raise where no run is accepted now: `Busy` (unless `queue`), `QueueFull`, `ShuttingDown`."""
        with self._condition:
            if self._stopping:
                raise ShuttingDown("the server is stopping")
            if not queue and (in_the_way := self.busy()):
                raise Busy(in_the_way, cancelling=self.cancelling() == in_the_way)
            if len(self._waiting()) >= self._places:
                raise QueueFull(self._places)

    def _next_place(self) -> int | None:
        """The place in the queue of a run that comes now; None if it need not wait."""
        return len(self._waiting()) + 1 if self.busy() else None

    def _enqueue(self, job: Job) -> None:
        job.place = self._next_place()
        self._queue.append(job)
        self._condition.notify_all()
        logger.info("run %s queued", job.run_id)

    def busy(self) -> str | None:
        """The run that is in the way of a new one: the active one, else the next."""
        with self._condition:
            return self.active() or (self._queue[0].run_id if self._queue else None)

    def active(self) -> str | None:
        """The run that trains. Takes no lock: health answers while the store is stuck."""
        job = self._active
        return job.run_id if job else None

    def owns_state(self) -> bool:
        """Whether the state directory is still where it was locked; without a lock of ours."""
        return self._state_lock is not None and self._state_lock.in_place()

    def queue_length(self) -> int:
        """How many runs wait; without a lock, too."""
        return len(self._waiting())

    def queue_position(self, run_id: str) -> int | None:
        """A waiting run's place: 1 is next. None if it does not wait."""
        return self.standing().places.get(run_id)

    def place_told(self, run_id: str, *, queue: bool) -> int | None:
        """The place of a run that has just been accepted, for a client that asked to queue and has to wait."""
        return self.queue_position(run_id) if queue and self.busy() != run_id else None

    def standing(self) -> Standing:
        """Of all runs at once. Asked before their records are read, it never says of an ended run that it waits."""
        with self._condition:
            places = {job.run_id: place for place, job in enumerate(self._waiting(), start=1)}
            return Standing(places, self.cancelling())

    def cancelling(self) -> str | None:
        """The run that was cancelled and has not ended yet; without a lock, too."""
        job = self._active
        return job.run_id if job and job.reason == "cancelled" and not job.settled else None

    def in_words(self, run: RunRecord) -> str:
        """A run's state, for a sentence."""
        return f"{run.state} and being cancelled" if run.run_id == self.cancelling() else run.state

    def _waiting(self) -> list[Job]:
        """Who waits: the head of the queue does not, where the thread has just not taken it yet."""
        return list(self._queue) if self._active else list(self._queue)[1:]

    def cancel(self, run_id: str) -> None:
        """End a waiting run at once; tell the training one to stop, which it does where `fit` next yields.

        After this has returned the run ends as cancelled, whatever else happens to it. Raises `NotActive` if it has
        ended before, `UnknownRecord` if there is no such run.
        """
        with self._condition:
            if self._active and self._active.run_id == run_id and not self._active.settled:
                self._active.reason = "cancelled"
                self._keep_promise(run_id)
                return
            job = next((job for job in self._queue if job.run_id == run_id), None)
            if job is None:
                raise NotActive(run_id, self._store.tail(run_id)[0])
            self._end(job, cancelled())
            self._queue.remove(job)
            self._tell_places()

    def _keep_promise(self, run_id: str) -> None:
        """Write down that a run is to end as cancelled, though its server be killed before it does."""
        try:
            self._store.update_run(run_id, cancel_asked=True)
        except (sqlite3.Error, *OTHERS_WERE_THERE):  # it ends as cancelled all the same, unless the server is killed
            logger.exception("that run %s was cancelled cannot be recorded", run_id)

    def shutdown(self, timeout: float = 8.0) -> None:
        """Stop: the active run ends as interrupted, runs that asked to queue wait for the next start.

        `timeout`: seconds for the training thread; one that is stuck in a compiler is left behind, its run ended.
        """
        with self._condition:
            self._stopping = True
            if self._active and self._active.reason is None:
                self._active.reason = "interrupted"
            while self._queue:
                job = self._queue.popleft()
                if not job.record.queued:
                    self._end_at_last(job, begun=False)
            self._condition.notify_all()
        if self._thread.is_alive():
            self._thread.join(min(GRACE, timeout))
        with self._condition:
            # Told now, while its followers still listen: a compiler returns when it likes.
            if self._active and not self._active.settled:
                self._end_at_last(self._active)
        if self._thread.is_alive():
            self._thread.join(max(0.0, timeout - GRACE))
        if self._state_lock:
            self._state_lock.close()

    # From here on: the training thread

    def _work(self) -> None:
        while job := self._next():
            self._settle(job, self._executor.carry_out(job))
            if not self.busy():
                allocator.release()

    def _next(self) -> Job | None:
        with self._condition:
            self._condition.wait_for(lambda: self._stopping or self._queue)
            if self._stopping:
                return None
            self._active = self._queue.popleft()
            self._tell_places()
            return self._active

    def _settle(self, job: Job, outcome: Outcome) -> None:
        """Record how a run ended, as soon as the store lets us: until then it is the active one."""
        with self._condition:
            if job.settled:  # by a shutdown that did not wait for a compiler; nothing came of what it went on to write
                discard(self._checkpoints, job.run_id, resumable=True)
            while not job.settled:
                try:
                    self._end(job, outcome)
                except OTHERS_WERE_THERE:
                    logger.exception("run %s did not end as %s", job.run_id, outcome.state)
                    job.settled = True
                except sqlite3.Error:
                    logger.exception("the end of run %s (%s) cannot be recorded yet", job.run_id, outcome.state)
                    if self._stopping:
                        return
                    self._condition.wait(RETRY)
            self._active = None

    # The start and the end of runs, under the lock

    def _tell_places(self) -> None:
        """To every run that has moved up in the queue."""
        places: dict[str, int] = {}
        for place, job in enumerate(self._waiting(), start=1):
            if job.place != place:
                places[job.run_id] = job.place = place
        try:
            self._log.move(places)
        except sqlite3.Error:  # the queue goes on, and records tell the places
            logger.exception("new places in the queue cannot be sent")

    def _end(self, job: Job, outcome: Outcome) -> None:
        if job.reason == "cancelled":  # promised to a client before the run ended by itself
            outcome = replace(cancelled(), facts=outcome.facts)
        if outcome.state != "succeeded":
            discard(self._checkpoints, job.run_id, resumable=outcome.fields.get("resumable", False))
        self._log.transition(job.run_id, outcome.state, **outcome.facts, **outcome.fields)
        job.settled = True
        say(job.run_id, outcome)

    def _end_at_last(self, job: Job, *, begun: bool = True) -> None:
        """End a run as interrupted; if the store refuses, the next start does it."""
        try:
            self._end(job, interrupted(job.run_id, epoch=job.epoch, epochs_total=job.hyperparams.epochs, begun=begun))
        except (sqlite3.Error, *OTHERS_WERE_THERE):
            logger.exception("the end of run %s cannot be recorded", job.run_id)
