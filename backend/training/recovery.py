"""What a former server left unfinished: ended or queued again, before this one takes any new run."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import cast

from backend.events.log import EventLog
from backend.state.checkpoints import Checkpoints
from backend.state.errors import UnknownRecord, UnreadableRecord, WrongState
from backend.state.records import Detail, RunRecord, RunState
from backend.state.selection import Selection
from backend.state.store import Store
from backend.training.job import Kind, RunJob
from backend.training.outcome import Outcome, cancelled, failed, interrupted
from nets.architecture.read import parse_architecture
from nets.errors import SpecError
from nets.hyperparams.hyperparams import parse_hyperparams

logger = logging.getLogger("lamina.runs")

NEEDED: tuple[Detail, ...] = ("architecture", "timing")  # of a run that goes on
Waiting = list[tuple[int, RunRecord]]  # by their place among all runs


@dataclass(frozen=True)
class Recovery:
    """`resume_interrupted`: runs that the end of a server cut off go on by themselves."""

    store: Store
    log: EventLog
    checkpoints: Checkpoints
    resume_interrupted: bool

    def jobs(self, cause: str | None = None) -> list[RunJob]:
        """End what trained; the runs that are in the queue again: those that had trained first, then as they came.

        `cause`: of the end of the former server, where it is known.
        """
        for record in reversed(self.store.list_runs(state="running", metrics=False)):
            self._end_active(record, cause)
        waiting = self._still_waiting()
        trained: Waiting = []
        for place, record in self._cut_off():
            (trained if record.cut_off == "training" else waiting).append((place, record))
        found = [*sorted(trained, key=_place), *sorted(waiting, key=_place)]
        return [job for _, record in found if (job := self._queued(record)) is not None]

    def _end_active(self, record: RunRecord, cause: str | None) -> None:
        """End a run that trained when its server ended: as cancelled, where a client was promised that."""
        discard(self.checkpoints, record.run_id, resumable=True)
        if record.cancel_asked:
            self._end(record, cancelled())
            return
        outcome = interrupted(record.run_id, epoch=record.epoch, epochs_total=record.epochs_total, cause=cause)
        if record.resumed_itself_after == record.epoch:
            outcome.fields["cut_off"] = None
            self._warn(record)
        self._end(record, outcome)

    def _warn(self, record: RunRecord) -> None:
        """Say of a run that may be what ends one server after the other that it is not resumed by itself again."""
        place = f"epoch {min(record.epoch + 1, record.epochs_total)} of {record.epochs_total}"
        warning = (
            f"run {record.run_id} was resumed by itself, and the server ended again in {place}: it stays interrupted, "
            "since it may be what ends the server"
        )
        logger.warning("%s", warning)
        data = {"run_id": record.run_id, "level": "warning", "message": warning}
        warnings = [*record.warnings, warning]
        self.store.by_all_means(lambda: self.log.publish(record.run_id, "log", data, warnings=warnings))

    def _still_waiting(self) -> Waiting:
        """Runs that asked to wait. What else is queued ends."""
        kept = []
        with closing(self.store.each_run(Selection(None, ("queued",)), details=NEEDED)) as found:
            queued = list(found)
        for place, record in reversed(queued):
            discard(self.checkpoints, record.run_id, resumable=True)
            if record.queued:
                kept.append((place, record))
            else:
                self._end(record, _before_it_began(record))
        return kept

    def _cut_off(self) -> Waiting:
        """Runs that the end of a server cut off, and that nobody has resumed since."""
        if not self.resume_interrupted:
            return []
        with closing(self.store.each_run(Selection(None, ("failed",)), details=NEEDED)) as found:
            return [(place, record) for place, record in found if record.resumable and record.cut_off]

    def _queued(self, record: RunRecord) -> RunJob | None:
        """The job of a run that waits, or is put into the queue again; None for one that cannot go on."""
        try:
            architecture = parse_architecture(record.architecture)
            hyperparams = parse_hyperparams(record.hyperparams)
        except SpecError as error:  # written by another version of Lamina, which knew other rules
            if record.state == "queued":
                self._end(record, failed(str(error)))
            else:
                logger.warning("run %s stays interrupted: %s", record.run_id, error)
            return None
        if record.state == "queued":
            logger.info("run %s queued again", record.run_id)
        else:
            resumed = self._resumed(record)
            if resumed is None:
                return None
            record = resumed
        return RunJob.of(record, architecture=architecture, hyperparams=hyperparams)

    def _resumed(self, record: RunRecord) -> RunRecord | None:
        """A run that was cut off, put back into the queue; None where the store does not take it."""
        why = (record.error or "").removeprefix("interrupted: ").partition(". ")[0]
        message = f"resumed by itself (--resume-interrupted): {why}"
        try:
            self.log.resume(record.run_id, queued=True, queue_position=None, itself=True)
            self.log.publish(record.run_id, "log", {"run_id": record.run_id, "level": "info", "message": message})
        except (sqlite3.Error, WrongState, UnknownRecord, UnreadableRecord) as error:
            logger.warning("run %s stays as it is: it cannot be resumed by itself (%s)", record.run_id, error)
            return None
        logger.info("run %s %s", record.run_id, message)
        return self.store.get_run(record.run_id, metrics=False)

    def _end(self, record: RunRecord, outcome: Outcome) -> None:
        """End what a former server did not; on a full disk, too, where nobody could delete anything without a start."""
        state = cast(RunState, outcome.state)
        self.store.by_all_means(lambda: self.log.transition(record.run_id, state, **outcome.fields))
        say(record.run_id, outcome)


def discard(checkpoints: Checkpoints, run_id: str, *, resumable: bool = False) -> None:
    """Remove what a run without success has left, but for the state that a resumable one goes on from.

    A failure to do so is no reason to leave the run without an end.
    """
    try:
        if resumable:
            checkpoints.cut_back(run_id)
        else:
            checkpoints.remove(run_id)
    except OSError:
        logger.exception("the folder of run %s cannot be removed", run_id)


def say(identifier: str, outcome: Outcome, *, kind: Kind = "run") -> None:
    """The log line of an end."""
    why = f": {outcome.fields['error']}" if "error" in outcome.fields else ""
    logger.info("%s %s %s%s", kind, identifier, outcome.state, why)


def _before_it_began(record: RunRecord) -> Outcome:
    return interrupted(record.run_id, epoch=record.epoch, epochs_total=record.epochs_total, begun=False)


def _place(entry: tuple[int, RunRecord]) -> int:
    return entry[0]
