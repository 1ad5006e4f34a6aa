"""The runs, models and benchmarks of an archive added to a state, which a server may be using: all of them, or none."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from backend.state.archive import ArchiveError, Report, unpack
from backend.state.claims import claim_of
from backend.state.errors import UnknownRecord, UnreadableRecord
from backend.state.files import DESCRIPTION, TRAINING, WEIGHTS, sync_folder
from backend.state.incoming import Ending, Incoming, made_ready
from backend.state.records import Json
from backend.state.rows import FACTS, REACHED, SELECT, SUMMED, EventTable, Table, checksum, dumps
from backend.state.store import STORE_FILE, Store
from backend.state.tables import KEY, find, next_turn, renew
from backend.state.unreadable import KIND
from backend.state.working import folder_for, working

MOST_TOLD = 20  # ids in one refusal
CACHE_KB = 256 << 10  # of pages, while all records are added
TRIES = 5  # looks at a state that changes meanwhile
# What tells nothing of what a record is: where it stands here, or what follows from other records.
OF_THE_PLACE: dict[Table, frozenset[str]] = {
    "runs": frozenset({"sequence", "ended"}),
    "benchmarks": frozenset({"sequence"}),
    "models": frozenset({"sequence", "created_at", "updated_at", "last_trained_at", "made_for_run"}) | REACHED,
}
OF_THE_PLACE_IN_FACTS = frozenset({"resumes", "cut_off", "resumed_itself_after", "cancel_asked"})
ASIDE = "aside"  # what stood in the way, in the working folder


@dataclass(frozen=True)
class Merged:
    """What was added, and how much was there already. `left_out`: sentences about what could not be added.

    `paused`: seconds that a running server could write nothing. `sha256`: as of an import.
    """

    runs: int
    models: int
    files: int
    size: int
    same_runs: int
    same_models: int
    benchmarks: int
    same_benchmarks: int
    sha256: str
    left_out: list[str]
    paused: float


@dataclass
class Plan:
    """What is to be added, by id in its order; `seen`: the checksums of the records of the same ids that are here."""

    new: dict[Table, list[str]] = field(default_factory=lambda: {"models": [], "runs": [], "benchmarks": []})
    same: dict[Table, int] = field(default_factory=lambda: {"models": 0, "runs": 0, "benchmarks": 0})
    seen: dict[tuple[Table, str], int | None] = field(default_factory=dict)
    differing: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def merge_state(
    archive: Path, state_dir: Path, *, ending: Ending, held: AbstractContextManager[object], progress: Report
) -> Merged:
    """Add what `archive` holds to the state in `state_dir`: all of it, or nothing.

    Ids that are here and the same are left out; ArchiveError, with their names, where they differ. `held`: keeps the
    state directory for the moment in which it changes. Files come first, then all records in one transaction: a kill
    leaves garbage at most. Raises ArchiveError, UnknownSchema, OSError, sqlite3.Error.
    """
    with working(folder_for(state_dir, "import")) as folder:
        moved = unpack(archive, folder, progress)
        incoming = made_ready(folder, exported_at=moved.created_at, name=state_dir.name, ending=ending)
        with held, closing(Store(state_dir / STORE_FILE)) as store, closing(Store(incoming.store)) as other:
            store.verify(mend=False)
            plan, paused = _merge(store, other, incoming, state_dir)
        files = [path for run_id in plan.new["runs"] for path in _files(state_dir / run_id)]
    return Merged(
        runs=len(plan.new["runs"]),
        models=len(plan.new["models"]),
        files=len(files),
        size=sum(path.stat().st_size for path in files if path.is_file()),
        same_runs=plan.same["runs"],
        same_models=plan.same["models"],
        benchmarks=len(plan.new["benchmarks"]),
        same_benchmarks=plan.same["benchmarks"],
        sha256=moved.sha256,
        left_out=[*moved.left_out, *plan.left_out],
        paused=paused,
    )


def _merge(store: Store, other: Store, incoming: Incoming, state_dir: Path) -> tuple[Plan, float]:
    """Look at what is here, then add what is new while nobody else writes, unless it has changed since the look."""
    store.attach(incoming.store, "incoming")
    for _ in range(TRIES):
        plan = _planned(store, other, incoming.cut_off)
        if plan.differing:
            raise ArchiveError(_refusal(plan.differing))
        moves = Moves(incoming.folder, state_dir, store)
        try:
            with store.writing() as connection, other.reading() as source:
                began = time.perf_counter()
                if not _stands(connection, plan):
                    continue
                moves.make(plan.new["runs"])
                _add(connection, source, plan)
        except BaseException:
            moves.undo()
            raise
        return plan, time.perf_counter() - began
    raise ArchiveError("the state changes while it is looked at; nothing was imported, try again")


def _refusal(differing: list[str]) -> str:
    shown = ", ".join(differing[:MOST_TOLD])
    rest = f" and {len(differing) - MOST_TOLD} more" if len(differing) > MOST_TOLD else ""
    cure = "delete them here, or import the archive into an empty directory"
    return f"what is here under the same ids differs from the archive: {shown}{rest}; nothing was imported, {cure}"


# What is new


def _planned(store: Store, other: Store, cut_off: frozenset[str]) -> Plan:
    """Everything in the archive held against what is here, as of one moment."""
    plan = Plan()
    with store.reading() as here, other.reading() as there:
        for row in other.intact(there, "models"):
            _compare(plan, "models", row, here, same=True)
        models = set(plan.new["models"])
        for row in other.intact(there, "runs"):
            run_id, model_id = row["run_id"], row["model_id"]
            if model_id not in models and not _is_here(here, model_id):
                plan.left_out.append(f"run {run_id} is left out: its model {model_id} cannot be read in the archive")
                continue
            same = _same_history(here, there, run_id, cut_off=run_id in cut_off)
            _compare(plan, "runs", row, here, same=same, went_on=same and run_id in cut_off)
        for row in other.intact(there, "benchmarks"):
            identifier, ended_there = row["benchmark_id"], row["benchmark_id"] in cut_off
            same = _same_history(here, there, identifier, cut_off=ended_there, events="benchmark_events")
            _compare(plan, "benchmarks", row, here, same=same, went_on=same and ended_there)
    return plan


def _compare(
    plan: Plan, table: Table, row: sqlite3.Row, here: sqlite3.Connection, *, same: bool, went_on: bool = False
) -> None:
    identifier = row[KEY[table]]
    try:
        found = find(here, table, identifier)
    except UnknownRecord:
        plan.seen[table, identifier] = None
        plan.new[table].append(identifier)
        return
    except UnreadableRecord:
        plan.differing.append(f"{KIND[table]} {identifier} (its record here is damaged)")
        return
    plan.seen[table, identifier] = found["checksum"]
    if went_on or (same and _content(table, found) == _content(table, row)):
        plan.same[table] += 1
    else:
        plan.differing.append(f"{KIND[table]} {identifier}")


def _content(table: Table, row: sqlite3.Row) -> Json:
    """What a record says, wherever it is kept."""
    values = {name: row[name] for name in SUMMED[table] if name not in OF_THE_PLACE[table]}
    if values.get("saved_model_path") is not None:
        values["saved_model_path"] = values["saved_model_path"].partition("/")[2]
    if table == "runs":
        facts = msgspec.json.decode(values[FACTS])
        values[FACTS] = {name: fact for name, fact in facts.items() if name not in OF_THE_PLACE_IN_FACTS}
    return values


def _same_history(
    here: sqlite3.Connection,
    there: sqlite3.Connection,
    identifier: str,
    *,
    cut_off: bool,
    events: EventTable = "events",
) -> bool:
    """Whether the events are the same; of what was cut off, those before its end: it may have gone on."""
    chosen = f"SELECT id, name, data FROM {events} WHERE {KEY[events]} = ? ORDER BY id"
    came = [tuple(row) for row in there.execute(chosen, (identifier,))]
    if cut_off:
        del came[-1:]
        chosen = f"{chosen} LIMIT {len(came)}"
    return [tuple(row) for row in here.execute(chosen, (identifier,))] == came


def _is_here(here: sqlite3.Connection, model_id: str) -> bool:
    return here.execute("SELECT 1 FROM models WHERE model_id = ?", (model_id,)).fetchone() is not None


def _stands(connection: sqlite3.Connection, plan: Plan) -> bool:
    """Whether a plan still fits what is here."""
    for (table, identifier), seen in plan.seen.items():
        chosen = f"SELECT checksum FROM {table} WHERE {KEY[table]} = ?"
        row = connection.execute(chosen, (identifier,)).fetchone()
        if (row["checksum"] if row else None) != seen:
            return False
    return True


# Files and records


@dataclass
class Moves:
    """The folders of runs, given their places in the state directory, and taken back where that was in vain."""

    source: Path
    state_dir: Path
    store: Store
    made: list[str] = field(default_factory=list)

    def make(self, run_ids: Iterable[str]) -> None:
        """Move the folders of `run_ids`. Garbage of the same names, such as a killed import leaves, makes way."""
        (self.source / ASIDE).mkdir(exist_ok=True)
        for run_id in run_ids:
            place = self.state_dir / run_id
            if place.exists() or place.is_symlink():
                if self.store.unreadable.any("runs"):
                    reason = f"a folder {run_id} is here that may belong to a run whose record is damaged"
                    raise ArchiveError(f"{reason}; nothing was imported, move it away first")
                place.rename(self.source / ASIDE / run_id)
            if (self.source / run_id).is_dir():
                self.made.append(run_id)
                (self.source / run_id).rename(place)
        sync_folder(self.state_dir)

    def undo(self) -> None:
        """Take back the folders whose records did not come."""
        for run_id in self.made:
            with suppress(OSError, UnreadableRecord, sqlite3.Error), self.store.reading() as connection:
                if claim_of(connection, run_id) is None:
                    (self.state_dir / run_id).rename(self.source / run_id)


def _add(connection: sqlite3.Connection, source: sqlite3.Connection, plan: Plan) -> None:
    """Insert the new records with their events, in their order, under counters of this store."""
    connection.execute(f"PRAGMA cache_size = -{CACHE_KB}")  # what does not fit is written twice
    for model_id in plan.new["models"]:
        _insert(connection, "models", dict(find(source, "models", model_id)))
    turns = _turns(connection, source, plan.new["runs"])
    trained: dict[str, str | None] = {}
    for run_id in plan.new["runs"]:
        columns = dict(find(source, "runs", run_id))
        columns["ended"] = turns.get(columns["ended"])
        facts = msgspec.json.decode(columns[FACTS])
        if facts.get("resumes"):
            facts["resumes"] = [[turns[turn], event_id] for turn, event_id in facts["resumes"]]
        _insert(connection, "runs", {**columns, FACTS: dumps(facts)})
        _copy_events(connection, "events", run_id)
        ended = columns["completed_at"] if columns["state"] == "succeeded" else None
        trained[columns["model_id"]] = max(filter(None, [trained.get(columns["model_id"]), ended]), default=None)
    for model_id in {**dict.fromkeys(plan.new["models"]), **trained}:
        _renew(connection, model_id, trained.get(model_id))
    for benchmark_id in plan.new["benchmarks"]:
        _insert(connection, "benchmarks", dict(find(source, "benchmarks", benchmark_id)))
        _copy_events(connection, "benchmark_events", benchmark_id)
        results = "SELECT results FROM incoming.benchmarks AS came WHERE came.benchmark_id = benchmarks.benchmark_id"
        connection.execute(f"UPDATE benchmarks SET results = ({results}) WHERE benchmark_id = ?", (benchmark_id,))


def _copy_events(connection: sqlite3.Connection, table: EventTable, identifier: str) -> None:
    """Those of a new run or benchmark, with their checksums."""
    columns = f"{', '.join(SUMMED[table])}, checksum"
    copied = f"INSERT INTO {table} ({columns}) SELECT {columns} FROM incoming.{table} WHERE {KEY[table]} = ?"
    connection.execute(copied, (identifier,))


def _renew(connection: sqlite3.Connection, model_id: str, trained: str | None) -> None:
    """Let a model tell of the runs that it has got. `trained`: when the last of them succeeded."""
    row = connection.execute(f"{SELECT['models']} WHERE model_id = ?", (model_id,)).fetchone()
    later = max(filter(None, [row["last_trained_at"], trained]), default=None)
    renew(connection, model_id, last_trained_at=later)


def _insert(connection: sqlite3.Connection, table: Table, columns: dict[str, Any]) -> None:
    """Add a row behind all others, with its checksum at once: nobody can write while many are added."""
    names, counted = SUMMED[table], "SELECT coalesce(max(seq), 0) + 1 FROM sqlite_sequence WHERE name = ?"
    (columns["sequence"],) = connection.execute(counted, (table,)).fetchone()
    values = [columns[name] for name in names]
    places = ", ".join("?" * (len(names) + 1))
    into = f"INSERT INTO {table} ({', '.join(names)}, checksum) VALUES ({places})"
    connection.execute(into, (*values, checksum(values)))


def _turns(connection: sqlite3.Connection, source: sqlite3.Connection, run_ids: list[str]) -> dict[int, int]:
    """The ends and resumes of the new runs: their numbers here, in the same order, by those there."""
    came: set[int] = set()
    for run_id in run_ids:
        row = find(source, "runs", run_id)
        resumes = msgspec.json.decode(row[FACTS]).get("resumes") or []
        came |= {turn for turn, _ in resumes} | ({row["ended"]} if row["ended"] is not None else set())
    return {turn: next_turn(connection) for turn in sorted(came)}


def _files(folder: Path) -> Iterator[Path]:
    yield from (folder / name for name in (WEIGHTS, DESCRIPTION, TRAINING) if (folder / name).is_file())
