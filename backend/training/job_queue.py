"""The queue, and the one thread that carries out what waits in it: runs and benchmarks, one at a time."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from backend.state.errors import UnknownRecord, UnreadableRecord, WrongState
from backend.state.lock import StateLock, own
from backend.state.records import Standing
from backend.training.errors import Busy, NotActive, QueueFull, ShuttingDown
from backend.training.job import Job, Kind
from backend.training.outcome import Outcome
from nets.process import allocator

logger = logging.getLogger("lamina.runs")

GRACE = 0.5  # seconds in which what shall stop ends by itself
RETRY = 1.0  # seconds until an end is recorded again, when the store refused it
OTHERS_WERE_THERE = (WrongState, UnknownRecord, UnreadableRecord)  # the row is gone, or is not as we left it

J = TypeVar("J", bound=Job, contravariant=True)


class Handler(Protocol, Generic[J]):
    """What the queue has done with jobs of one kind."""

    def carry_out(self, job: J) -> Outcome:
        """On the thread of the queue. Whatever goes wrong in the job becomes its outcome."""

    def end(self, job: J, outcome: Outcome) -> None:
        """Record an end, and tell it. Raises as the store does."""

    def leave(self, job: J) -> None:
        """Remove what a job went on to write after its end was recorded."""

    def promise(self, job: J) -> None:
        """Write down that a job is to end as cancelled, though its server be killed before it does."""

    def cut_off(self, job: J, *, begun: bool) -> Outcome:
        """How a job ends whose server stops."""

    def move(self, places: Mapping[str, int]) -> None:
        """Tell jobs their new places."""

    def state_of(self, identifier: str) -> str:
        """Of a job that is not in the queue. `UnknownRecord` for what there is not."""


class JobQueue:
    """Queues jobs, carries them out and ends them. Everything that decides about a job happens under one lock.

    The lock is also held while a terminal state is recorded and told, so that who hears of it can submit the next job
    at once, and so that a cancel comes either before the end (and wins) or after it (and is refused).
    """

    def __init__(self, state_dir: Path, handlers: Mapping[Kind, Handler[Any]], *, places: int) -> None:
        """`places`: how many may wait."""
        self._state_dir, self._handlers, self._places = state_dir, handlers, places
        self._state_lock: StateLock | None = None
        self._condition = threading.Condition()
        self._queue: deque[Job] = deque()
        self._active: Job | None = None
        self._stopping = False
        self._thread = threading.Thread(target=self._work, name="training", daemon=True)

    def begin(self, left_over: Callable[[], list[Job]], *, patience: float) -> None:
        """Take the state directory, queue what a former server left over, and start the thread.

        `patience`: seconds to wait for a predecessor that is just leaving; then `StateInUse`.
        """
        self._state_lock = own(self._state_dir, patience=patience)
        with self._condition:
            self._queue.extend(left_over())
        self._thread.start()

    def enter(self, job_at: Callable[[int | None], Job], *, queue: bool) -> Job:
        """Queue the job that `job_at` makes and records, given its place if it has to wait. Raises as `admit` does."""
        with self._condition:
            self.admit(queue)
            place = self._next_place()
            job = job_at(place)
            job.place = place
            self._queue.append(job)
            self._condition.notify_all()
            logger.info("%s %s queued", job.kind, job.identifier)
            return job

    def admit(self, queue: bool) -> None:
        """Raise where nothing is accepted now: `Busy` (unless `queue`), `QueueFull`, `ShuttingDown`."""
        with self._condition:
            if self._stopping:
                raise ShuttingDown("the server is stopping")
            if not queue and (in_the_way := self._in_the_way()):
                cancelling = self.cancelling() == in_the_way.identifier
                raise Busy(in_the_way.identifier, kind=in_the_way.kind, cancelling=cancelling)
            if len(self._waiting()) >= self._places:
                raise QueueFull(self._places)

    def _next_place(self) -> int | None:
        """The place in the queue of what comes now; None if it need not wait."""
        return len(self._waiting()) + 1 if self._in_the_way() else None

    def _in_the_way(self) -> Job | None:
        return self._active or (self._queue[0] if self._queue else None)

    def busy(self) -> str | None:
        """What is in the way of a new job: the active one, else the next."""
        with self._condition:
            job = self._in_the_way()
            return job.identifier if job else None

    def active(self, kind: Kind = "run") -> str | None:
        """The run that trains, or the benchmark that is measured. No lock: health answers while the store is stuck."""
        job = self._active
        return job.identifier if job and job.kind == kind else None

    def at_work(self) -> bool:
        """Whether anything is carried out; without a lock, too."""
        return self._active is not None

    def owns_state(self) -> bool:
        """Whether the state directory is still where it was locked; without a lock of ours."""
        return self._state_lock is not None and self._state_lock.in_place()

    def queue_length(self) -> int:
        """How many runs and benchmarks wait; without a lock, too."""
        return len(self._waiting())

    def queue_position(self, identifier: str) -> int | None:
        """The place of one that waits: 1 is next. None if it does not wait."""
        return self.standing().places.get(identifier)

    def place_told(self, identifier: str, *, queue: bool) -> int | None:
        """The place of one that has just been accepted, for a client that asked to queue and has to wait."""
        return self.queue_position(identifier) if queue and self.busy() != identifier else None

    def standing(self) -> Standing:
        """Of all at once. Asked before their records are read, it never says of an ended one that it waits."""
        with self._condition:
            places = {job.identifier: place for place, job in enumerate(self._waiting(), start=1)}
            return Standing(places, self.cancelling())

    def cancelling(self) -> str | None:
        """What was cancelled and has not ended yet; without a lock, too."""
        job = self._active
        return job.identifier if job and job.reason == "cancelled" and not job.settled else None

    def _waiting(self) -> list[Job]:
        """Who waits: the head of the queue does not, where the thread has just not taken it yet."""
        return list(self._queue) if self._active else list(self._queue)[1:]

    def cancel(self, identifier: str, *, kind: Kind = "run") -> None:
        """End a waiting job at once; tell the active one to stop, which it does where it next looks.

        After this has returned it ends as cancelled, whatever else happens to it. Raises `NotActive` if it has ended
        before, `UnknownRecord` if there is none.
        """
        with self._condition:
            if self._active and self._active.is_(kind, identifier) and not self._active.settled:
                self._active.reason = "cancelled"
                self._keep_promise(self._active)
                return
            job = next((job for job in self._queue if job.is_(kind, identifier)), None)
            if job is None:
                raise NotActive(identifier, self._handlers[kind].state_of(identifier), kind=kind)
            job.reason = "cancelled"
            try:
                self._end(job, self._handlers[kind].cut_off(job, begun=False))
            except BaseException:  # the client is not told that it was cancelled
                job.reason = None
                raise
            self._queue.remove(job)
            self._tell_places()

    def _keep_promise(self, job: Job) -> None:
        try:
            self._handlers[job.kind].promise(job)
        except (sqlite3.Error, *OTHERS_WERE_THERE):  # it ends as cancelled all the same, unless the server is killed
            logger.exception("that %s %s was cancelled cannot be recorded", job.kind, job.identifier)

    def shutdown(self, timeout: float = 8.0) -> None:
        """Stop: the active job ends as interrupted, those that asked to queue wait for the next start.

        `timeout`: seconds for the thread; one that is stuck in a compiler is left behind, its job ended.
        """
        with self._condition:
            self._stopping = True
            if self._active and self._active.reason is None:
                self._active.reason = "interrupted"
            while self._queue:
                job = self._queue.popleft()
                if not job.waits_on:
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

    # From here on: the thread

    def _work(self) -> None:
        while job := self._next():
            self._settle(job, self._handlers[job.kind].carry_out(job))
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
        """Record how a job ended, as soon as the store lets us: until then it is the active one."""
        with self._condition:
            if job.settled:  # by a shutdown that did not wait for a compiler; nothing came of what it went on to write
                self._handlers[job.kind].leave(job)
            while not job.settled:
                try:
                    self._end(job, outcome)
                except OTHERS_WERE_THERE:
                    logger.exception("%s %s did not end as %s", job.kind, job.identifier, outcome.state)
                    job.settled = True
                except sqlite3.Error:
                    state = outcome.state
                    logger.exception("the end of %s %s (%s) cannot be recorded yet", job.kind, job.identifier, state)
                    if self._stopping:
                        return
                    self._condition.wait(RETRY)
            self._active = None

    # The start and the end of jobs, under the lock

    def _tell_places(self) -> None:
        """To all who have moved up in the queue."""
        places: dict[Kind, dict[str, int]] = {}
        for place, job in enumerate(self._waiting(), start=1):
            if job.place != place:
                job.place = place
                places.setdefault(job.kind, {})[job.identifier] = place
        for kind, told in places.items():
            try:
                self._handlers[kind].move(told)
            except sqlite3.Error:  # the queue goes on, and records tell the places
                logger.exception("new places in the queue cannot be sent")

    def _end(self, job: Job, outcome: Outcome) -> None:
        self._handlers[job.kind].end(job, outcome)
        job.settled = True

    def _end_at_last(self, job: Job, *, begun: bool = True) -> None:
        """End a job as interrupted; if the store refuses, the next start does it."""
        try:
            self._end(job, self._handlers[job.kind].cut_off(job, begun=begun))
        except (sqlite3.Error, *OTHERS_WERE_THERE):
            logger.exception("the end of %s %s cannot be recorded", job.kind, job.identifier)
