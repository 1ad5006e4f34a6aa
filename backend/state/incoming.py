"""The state of an archive, unpacked beside another one and made ready to be added to it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from backend.state.claims import claims_of
from backend.state.files import DESCRIPTION, TRAINING, WEIGHTS, files_of, sync_folder
from backend.state.records import ACTIVE, Json, RunRecord
from backend.state.store import STORE_FILE, Store, utc_now

Ending = Callable[[str, str], Json]  # the data of the event by which a run ends: of its id, and the error


@dataclass(frozen=True)
class Incoming:
    """`folder`: the unpacked state. `cut_off`: its runs that were active when it was exported."""

    folder: Path
    cut_off: frozenset[str]

    @property
    def store(self) -> Path:
        return self.folder / STORE_FILE


def made_ready(folder: Path, *, exported_at: str, name: str, ending: Ending) -> Incoming:
    """End what was active, as cut off and resumable; let paths begin with `name`; keep the files that records name.

    `exported_at`: when the runs were cut off, so that the same archive comes to the same records each time.
    """
    with closing(Store(folder / STORE_FILE)) as store:
        active = [run for state in ACTIVE for run in store.list_runs(state=state, metrics=False)]
        for run in active:
            error = _interrupted(run)
            fields = {"error": error, "resumable": True, "completed_at": _moment(exported_at)}
            store.transition(run.run_id, "failed", data=ending(run.run_id, error), **fields)
        store.moved_to(name)
        claims = claims_of(store)
    for claim in claims.values():
        place, kept = folder / claim.run_id, files_of(claim)
        for file in (WEIGHTS, DESCRIPTION, TRAINING):
            if file not in kept:
                (place / file).unlink(missing_ok=True)
        if place.is_dir():
            sync_folder(place)
    return Incoming(folder, frozenset(run.run_id for run in active))


def _interrupted(run: RunRecord) -> str:
    now = min(run.epoch + 1, run.epochs_total)
    place = f"while this run was in epoch {now} of {run.epochs_total}" if run.state == "running" else "while it waited"
    return f"interrupted: the state was exported {place}. Resume it with POST /api/runs/{run.run_id}/resume."


def _moment(text: str) -> str:
    """A time of an archive as records carry it; now, where it is none."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC).isoformat(timespec="microseconds")
    except (ValueError, OverflowError):
        return utc_now()
