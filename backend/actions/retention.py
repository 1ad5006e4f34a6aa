"""Runs that ended long ago, or many runs ago, deleted by themselves where the settings say so."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from backend.actions.deletion import Deletion
from backend.errors import ApiError
from backend.state.ends import ended_last, needed
from backend.state.records import TERMINAL, Json
from backend.state.rows import SELECT, intact
from backend.state.store import Store

logger = logging.getLogger("lamina.runs")

INTERVAL = 3600.0  # seconds between two looks while no run ends
SHORTEST_PAUSE = 0.01  # seconds after a deletion: others write as well
LONGEST_STOP = 3.0  # seconds that the end of the server waits for a deletion


class Retention:
    """On a thread of its own: at the start, after each run's end and every hour.

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
        """Delete what the rules do not keep, one run after the other."""
        for run_id, reason in list(self._spent()):
            if self._closed.is_set():
                return
            began = time.monotonic()
            self._delete(run_id, reason)
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

    def _spent(self) -> Iterator[tuple[str, str]]:
        """The ids of runs that the rules do not keep, the oldest end first, each with the reason."""
        moment = datetime.now(UTC) - timedelta(days=self._keep_days)
        oldest = moment.isoformat(timespec="microseconds") if self._keep_days else ""
        with self._store.reading() as connection:
            kept = needed(connection)
            ended = ended_last(connection)
            for rank, (sequence, completed_at) in reversed(list(enumerate(ended))):
                if self._keep_runs and rank >= self._keep_runs:
                    reason = f"it is none of the {self._keep_runs} that ended last (--keep-runs)"
                elif completed_at < oldest:
                    reason = f"it ended at {completed_at}, more than {self._keep_days} days ago (--keep-days)"
                else:
                    continue
                row = connection.execute(f"{SELECT['runs']} WHERE sequence = ?", (sequence,)).fetchone()
                if row is not None and intact(row) and row["run_id"] not in kept:
                    yield row["run_id"], reason
