"""The state of an archive, unpacked beside another one and made ready to be added to it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from backend.state.claims import claims_of
from backend.state.files import DESCRIPTION, TRAINING, WEIGHTS, files_of, sync_folder
from backend.state.payloads import benchmark_state
from backend.state.records import ACTIVE, Json, RunRecord, utc_now
from backend.state.store import STORE_FILE, Store

Ending = Callable[[str, str], Json]  # the data of the event by which a run ends: of its id, and the error


@dataclass(frozen=True)
class Incoming:
    """`folder`: the unpacked state. `cut_off`: its runs and benchmarks that were active when it was exported."""

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
        benchmarks = _end_benchmarks(store, _moment(exported_at))
        store.moved_to(name)
        claims = claims_of(store)
    for claim in claims.values():
        place, kept = folder / claim.run_id, files_of(claim)
        for file in (WEIGHTS, DESCRIPTION, TRAINING):
            if file not in kept:
                (place / file).unlink(missing_ok=True)
        if place.is_dir():
            sync_folder(place)
    return Incoming(folder, frozenset([*(run.run_id for run in active), *benchmarks]))


def _end_benchmarks(store: Store, moment: str) -> list[str]:
    """End benchmarks that were active, with what they had measured; their ids."""
    with closing(store.each_benchmark()) as found:
        active = [(each.benchmark_id, each.state) for _, each in found if each.state in ACTIVE]
    for benchmark_id, state in active:
        place = "while this benchmark was measured" if state == "running" else "while it waited"
        error = f"interrupted: the state was exported {place}. Measure it again with POST /api/benchmarks."
        data, results = benchmark_state(benchmark_id, "interrupted", error=error), store.measured_in(benchmark_id)
        store.transition_benchmark(
            benchmark_id, "interrupted", data=data, results=results, error=error, completed_at=moment
        )
    return [benchmark_id for benchmark_id, _ in active]


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
