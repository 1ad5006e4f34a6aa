"""Runs and benchmarks that ended long ago, or many ago, deleted by themselves where the settings say so."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

from backend.actions.deletion import Deletion
from backend.errors import ApiError
from backend.state.ends import ended_last, needed
from backend.state.records import BENCHMARK_ENDS, TERMINAL, Json
from backend.state.rows import SELECT, intact
from backend.state.store import Store

logger = logging.getLogger("lamina.runs")

INTERVAL = 3600.0  # seconds between two looks while no run ends
SHORTEST_PAUSE = 0.01  # seconds after a deletion: others write as well
LONGEST_STOP = 3.0  # seconds that the end of the server waits for a deletion


class Retention:
    """On a thread of its own: at the start, after each end and every hour. Runs and benchmarks are counted apart.

    The runs that models are promoted from always stay, and those that an active run continues.
    """

    def __init__(self, store: Store, deletion: Deletion, *, keep_runs: int, keep_days: int) -> None:
        """`keep_runs`: how many of those that ended last stay. `keep_days`: for how long. 0: no limit."""
        self._store, self._deletion = store, deletion
        self._keep_runs, self._keep_days = keep_runs, keep_days
        self._due, self._closed = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work, name="retention", daemon=True)

    def rules(self) -> Json:
        """As the settings have them."""
        return {"keep_runs": self._keep_runs, "keep_days": self._keep_days}

    def hear(self, name: str, data: Json, _: Json) -> None:
        """An event of a run that is kept."""
        if name == "state" and data["state"] in TERMINAL:
            self._due.set()

    def look(self) -> None:
        """A benchmark has ended."""
        self._due.set()

    def start(self) -> None:
        if self._keep_runs:
            logger.info("of runs that have ended, the last %d stay (--keep-runs), and promoted ones", self._keep_runs)
        if self._keep_days:
            logger.info("runs that have ended stay for %d days (--keep-days), and promoted ones", self._keep_days)
        if self._keep_runs or self._keep_days:
            self._thread.start()

    def stop(self) -> None:
        """Begin no further deletion."""
        self._closed.set()
        self._due.set()

    def close(self) -> None:
        """End the thread; the store is still there."""
        self.stop()
        if self._thread.is_alive():
            self._thread.join(LONGEST_STOP)

    def _work(self) -> None:
        while not self._closed.is_set():
            self._due.clear()
            try:
                self.apply()
            except sqlite3.Error as error:
                logger.warning("old runs stay for now: the store cannot be used (%s)", error)
            except Exception:
                logger.exception("old runs stay for now")
            self._due.wait(INTERVAL)

    def apply(self) -> None:
        """Delete what the rules do not keep, one after the other."""
        spent = [(self._delete, *each) for each in self._spent()]
        for delete, identifier, reason in [*spent, *((self._delete_benchmark, *each) for each in self._old())]:
            if self._closed.is_set():
                return
            began = time.monotonic()
            delete(identifier, reason)
            self._closed.wait(max(SHORTEST_PAUSE, time.monotonic() - began))

    def _delete(self, run_id: str, reason: str) -> None:
        with self._store.reading() as connection:
            if run_id in needed(connection):  # since it was chosen
                return
        try:
            with_model = self._deletion.run(run_id, with_model=True)
        except ApiError as refusal:  # it was deleted, promoted or resumed just now
            logger.debug("run %s stays: %s", run_id, refusal)
            return
        logger.info("run %s deleted%s: %s", run_id, " with its model" if with_model else "", reason)

    def _delete_benchmark(self, benchmark_id: str, reason: str) -> None:
        try:
            self._deletion.benchmark(benchmark_id)
        except ApiError as refusal:  # it was deleted just now
            logger.debug("benchmark %s stays: %s", benchmark_id, refusal)
            return
        logger.info("benchmark %s deleted: %s", benchmark_id, reason)

    def _old(self) -> list[tuple[str, str]]:
        """The same of benchmarks."""
        oldest = self._oldest()
        with closing(self._store.each_benchmark()) as found:
            ended = [(each.completed_at or "", each.benchmark_id) for _, each in found if each.state in BENCHMARK_ENDS]
        spent = []
        for rank, (completed_at, benchmark_id) in enumerate(sorted(ended, reverse=True)):
            if reason := self._reason(rank, completed_at, oldest):
                spent.append((benchmark_id, reason))
        return spent[::-1]

    def _oldest(self) -> str:
        moment = datetime.now(UTC) - timedelta(days=self._keep_days)
        return moment.isoformat(timespec="microseconds") if self._keep_days else ""

    def _reason(self, rank: int, completed_at: str, oldest: str) -> str | None:
        """Why the rules do not keep what ended then, `rank` ends ago; None where they do."""
        if self._keep_runs and rank >= self._keep_runs:
            return f"it is none of the {self._keep_runs} that ended last (--keep-runs)"
        if completed_at < oldest:
            return f"it ended at {completed_at}, more than {self._keep_days} days ago (--keep-days)"
        return None

    def _spent(self) -> Iterator[tuple[str, str]]:
        """The ids of runs that the rules do not keep, the oldest end first, each with the reason."""
        oldest = self._oldest()
        with self._store.reading() as connection:
            kept = needed(connection)
            ended = ended_last(connection)
            for rank, (sequence, completed_at) in reversed(list(enumerate(ended))):
                if (reason := self._reason(rank, completed_at, oldest)) is None:
                    continue
                row = connection.execute(f"{SELECT['runs']} WHERE sequence = ?", (sequence,)).fetchone()
                if row is not None and intact(row) and row["run_id"] not in kept:
                    yield row["run_id"], reason
