"""The SQLite store: every query of the server, one writer, durable before anyone is told."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import msgspec

from backend.state.benchmarks import Benchmarks
from backend.state.checked import NEWEST
from backend.state.curve import extended
from backend.state.errors import Promoted, StillActive, UnknownRecord, UnreadableRecord, WrongState
from backend.state.histories import Histories
from backend.state.listing import Listing
from backend.state.naming import numbered
from backend.state.records import (
    ACTIVE,
    NEXT,
    TERMINAL,
    Json,
    ModelRecord,
    RunRecord,
    RunState,
    utc_now,
)
from backend.state.rows import (
    DEFINITION_COLUMNS,
    FACTS,
    MODEL_COLUMNS,
    RUN_FIELDS,
    SELECT,
    Table,
    dumps,
    intact,
    superseded,
    to_columns,
    to_model,
    to_run,
)
from backend.state.schema import migrate
from backend.state.selection import BEGINS
from backend.state.summary import summarised
from backend.state.tables import (
    append,
    change,
    curve_of,
    delete_if_left,
    find,
    insert,
    next_turn,
    renew,
    replace_event,
    state_of,
    summary_of,
)

STORE_FILE = "lamina.sqlite3"  # in the state directory


class Store(Listing, Histories, Benchmarks):
    """Models, runs and benchmarks, with their events. Safe from any thread; `sqlite3.Error` reaches the caller.

    No row is believed whose checksum does not fit: lists leave it out, `UnreadableRecord` is raised where it is the
    one that is asked for, and `unreadable` tells of it.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        try:
            with self._write() as connection:
                migrate(connection, path.name)
        except BaseException:
            self._writer.close()
            raise

    @contextmanager
    def moment(self) -> Iterator[None]:
        """Whatever this thread reads inside is from one moment."""
        with self._read():
            yield

    # Models

    def create_model(self, record: ModelRecord, *, generated: bool = False) -> ModelRecord:
        """Add a model; what its runs reach is added by them. `generated`: its name is numbered where it repeats."""
        with self._write() as connection:
            if generated:
                record = replace(record, name=numbered(connection, "models", record.name))
            stored = {name: value for name, value in asdict(record).items() if name in MODEL_COLUMNS}
            insert(connection, "models", to_columns(stored, allowed=MODEL_COLUMNS))
        return record

    def update_model(self, model_id: str, *, generated: bool = False, **fields: Any) -> ModelRecord:
        """Change the named fields and `updated_at`; `UnknownRecord` if there is no such model, or run to promote.

        `generated`: the new name is numbered where it repeats.
        """
        fields = {"updated_at": utc_now(), "made_for_run": False, **fields}
        with self._write() as connection:
            if generated:
                fields["name"] = numbered(connection, "models", fields["name"], but=model_id)
            if fields.get("saved_run_id") is not None:  # which may have been deleted since it was looked at
                find(connection, "runs", fields["saved_run_id"])
            changes = to_columns(fields, allowed=DEFINITION_COLUMNS)
            change(connection, "models", find(connection, "models", model_id), changes)
            return to_model(find(connection, "models", model_id))

    def get_model(self, model_id: str) -> ModelRecord | None:
        row = self._find("models", model_id)
        return to_model(row) if row else None

    def run_ids_of(self, model_id: str) -> list[str]:
        """The runs of a model, in no order."""
        with self._read() as connection:
            return [row[0] for row in connection.execute("SELECT run_id FROM runs WHERE model_id = ?", (model_id,))]

    def each_model(self, *, before: int | None = None, begins: str | None = None) -> Generator[tuple[int, ModelRecord]]:
        """Models, newest first, one by one, each with its cursor: `before` that there are the older ones.

        begins: only those whose ids begin so.
        """
        with self._read() as connection, suppress(GeneratorExit):  # the connection serves others, too
            if begins is None:
                rows = self._newest(connection, "models", {}, before)
            else:
                chosen = f"WHERE {BEGINS.format('model_id')} AND sequence < :before ORDER BY sequence DESC"
                values = {"begins": begins, "before": NEWEST if before is None else before}
                rows = self._intact(connection, "models", chosen, values)
            for row in rows:
                yield row["sequence"], to_model(row)

    def delete_model(self, model_id: str) -> list[str]:
        """Delete a model with its runs and their events; the ids of those runs, whose folders may go now.

        `StillActive` while one of its runs is queued or running, `UnknownRecord` if there is no such model. Works on a
        full disk.
        """
        return self._delete(lambda: self._delete_model(model_id))

    def _delete_model(self, model_id: str) -> list[str]:
        with self._write() as connection:
            run_ids = []
            for row in connection.execute(f"{SELECT['runs']} WHERE model_id = ?", (model_id,)):
                if row["state"] in ACTIVE and intact(row):
                    raise StillActive(row["run_id"])
                run_ids.append(row["run_id"])
            if not connection.execute("DELETE FROM models WHERE model_id = ?", (model_id,)).rowcount:
                raise UnknownRecord(model_id)
        self.unreadable.forget("models", model_id)
        for run_id in run_ids:
            self.unreadable.forget("runs", run_id)
        return run_ids

    def delete_run(self, run_id: str, *, with_model: bool = False) -> str | None:
        """Delete a run with its events; its folder may go now.

        `with_model`: and its model, if that was made for it and has no other run; the id of the model, if it is gone.

        `StillActive` while it is queued or running, `Promoted` while a model has its weights, `UnknownRecord` if there
        is no such run. A damaged one goes whatever it says. Works on a full disk.
        """
        return self._delete(lambda: self._delete_run(run_id, with_model))

    def _delete_run(self, run_id: str, with_model: bool) -> str | None:
        with self._write() as connection:
            row = connection.execute(f"{SELECT['runs']} WHERE run_id = ?", (run_id,)).fetchone()
            if row is None:
                raise UnknownRecord(run_id)
            if row["state"] in ACTIVE and intact(row):
                raise StillActive(run_id)
            model = connection.execute("SELECT model_id FROM models WHERE saved_run_id = ?", (run_id,)).fetchone()
            if model is not None:
                raise Promoted(model["model_id"])
            connection.execute("DELETE FROM runs WHERE run_id = ?", (run_id,))
            left = with_model and intact(row) and delete_if_left(connection, row["model_id"])
            if not left:
                renew(connection, row["model_id"])
        self.unreadable.forget("runs", run_id)
        return row["model_id"] if left else None

    # Runs

    def create_run(self, record: RunRecord, event: Json) -> RunRecord:
        """Add a run and its first `state` event, which gets id 1; `UnknownRecord` if its model is gone.

        The record as it is kept: one without a name is called as its model.
        """
        with self._write() as connection:
            model = find(connection, "models", record.model_id)
            if not record.name:
                record = replace(record, name=_as_model(connection, model))
            stored = {name: value for name, value in asdict(record).items() if name in RUN_FIELDS}
            insert(connection, "runs", to_columns(stored, allowed=RUN_FIELDS))
            append(connection, record.run_id, "state", event)
            renew(connection, record.model_id)
        return record

    def get_run(self, run_id: str, *, metrics: bool = True) -> RunRecord | None:
        """A run with those of its metrics that are shown: `curve.SHOWN` at most."""
        with self._read() as connection:
            row = self._find("runs", run_id)
            return to_run(row, self._shown(connection, row) if metrics else []) if row else None

    def update_run(self, run_id: str, **fields: Any) -> None:
        """Change fields of a run; its state changes by `transition` alone. An empty name: that of its model."""
        with self._write() as connection:
            row = find(connection, "runs", run_id)
            if fields.get("name") == "":
                fields["name"] = _as_model(connection, find(connection, "models", row["model_id"]), but=run_id)
            changes = to_columns(fields, allowed=[name for name in RUN_FIELDS if name != "state"])
            change(connection, "runs", row, changes)

    def transition(self, run_id: str, state: RunState, *, data: Json, **fields: Any) -> int:
        """Put a run into `state`, with its other fields and its event, in one transaction; the event's id.

        Sets `started_at`, `completed_at` and what the model has reached where the state implies them.
        `WrongState` if the run's present state does not lead there: of two rivals, the second one gets it.
        """
        now = utc_now()
        implied: Json = (
            {"started_at": now} if state == "running" else {"completed_at": now} if state in TERMINAL else {}
        )
        changes = to_columns({**implied, **fields, "state": state}, allowed=RUN_FIELDS)
        with self._write() as connection:
            row = find(connection, "runs", run_id)
            if state not in NEXT[state_of(row)]:
                raise WrongState(run_id, state_of(row), state)
            if state in TERMINAL:
                changes["ended"] = next_turn(connection)
            change(connection, "runs", row, changes)
            if state == "succeeded":
                renew(connection, row["model_id"], last_trained_at=now)
            return append(connection, run_id, "state", data)

    def resume(self, run_id: str, *, data: Json, queued: bool, itself: bool = False) -> int:
        """Put a resumable run back into the queue, with its event, in one transaction; the event's id.

        itself: no client has asked for it.
        The terminal event that this supersedes stays in its place, and says so: its state is now called `interrupted`.
        `WrongState` if the run is not resumable.
        """
        changes = {"state": "queued", "queued": queued, "completed_at": None, "error": None, "resumable": False}
        with self._write() as connection:
            row = find(connection, "runs", run_id)
            if not row["resumable"] or state_of(row) not in ("failed", "cancelled"):
                raise WrongState(run_id, state_of(row), "resume")
            last = connection.execute(f"{SELECT['events']} WHERE run_id = ? ORDER BY id DESC LIMIT 1", (run_id,))
            for event in filter(intact, last.fetchall()):
                replace_event(connection, event, superseded(msgspec.json.decode(event["data"])))
            event_id, turn = append(connection, run_id, "state", data), next_turn(connection)
            facts: Json = {"resumes": [*(to_run(row, []).resumes or []), [turn, event_id]], "cut_off": None}
            facts |= {"cancel_asked": False, "resumed_itself_after": row["epoch"] if itself else None}
            change(connection, "runs", row, {**changes, "ended": turn, FACTS: dumps(facts)})
            return event_id

    # Events

    def append_event(self, run_id: str, name: str, data: Json, **fields: Any) -> int:
        """Add an event, and change `fields` of its run, in one transaction; the event's id.

        `WrongState` once the run has ended: nothing follows the terminal event.
        """
        changes = to_columns(fields, allowed=[column for column in RUN_FIELDS if column != "state"])
        with self._write() as connection:
            row = find(connection, "runs", run_id)
            if state_of(row) in TERMINAL:
                raise WrongState(run_id, state_of(row), name)
            event_id = append(connection, run_id, name, data)
            if name == "metric":
                curve, summary = extended(curve_of(row), event_id, data), summarised(summary_of(row), data)
                changes |= to_columns({"curve": curve, "summary": summary}, allowed=RUN_FIELDS)
            if changes:
                change(connection, "runs", row, changes)
            return event_id

    def append_events(self, run_id: str, name: str, data: Sequence[Json]) -> list[int]:
        """Add several events of one name to a run in one transaction; their ids. `WrongState` as of one."""
        with self._write() as connection:
            state = state_of(find(connection, "runs", run_id))
            if state in TERMINAL:
                raise WrongState(run_id, state, name)
            return [append(connection, run_id, name, each) for each in data]

    def append_to_each(self, name: str, data: Mapping[str, Json]) -> dict[str, int]:
        """Add an event to each run of `data` that has not ended and can be read, in one transaction; their ids."""
        ids = {}
        with self._write() as connection:
            for run_id, each in data.items():
                with suppress(UnknownRecord, UnreadableRecord):
                    if state_of(find(connection, "runs", run_id)) not in TERMINAL:
                        ids[run_id] = append(connection, run_id, name, each)
        return ids

    # Files

    def moved_to(self, folder: str) -> None:
        """Let every `saved_model_path` begin with the name that the state directory has now."""
        stale = "saved_model_path IS NOT NULL AND substr(saved_model_path, 1, instr(saved_model_path, '/') - 1) <> ?"
        with self._write() as connection:
            owners = set()
            both: tuple[Table, ...] = ("runs", "models")
            for table in both:
                for row in self._intact(connection, table, f"WHERE {stale}", (folder,)):
                    path = f"{folder}/{row['saved_model_path'].partition('/')[2]}"
                    change(connection, table, row, {"saved_model_path": path})
                    owners.add(row["model_id"])
            for model_id in owners:
                renew(connection, model_id)


def _as_model(connection: sqlite3.Connection, model: sqlite3.Row, *, but: str | None = None) -> str:
    """The name of a run that has none of its own. `but`: the run itself, where it has one already."""
    return numbered(connection, "runs", model["name"], model_id=model["model_id"], but=but)
