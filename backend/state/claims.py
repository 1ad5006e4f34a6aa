"""What records say about the files of runs, and what they say once those are gone."""

from __future__ import annotations

import sqlite3
from dataclasses import fields

from backend.state.errors import UnknownRecord
from backend.state.records import Claim
from backend.state.rows import SELECT, intact
from backend.state.store import Store
from backend.state.tables import change, find, renew

NAMES = tuple(field.name for field in fields(Claim))


def claims_of(store: Store) -> dict[str, Claim]:
    """What the record of every run says about its files, by run; damaged records say nothing."""
    with store.reading() as connection:
        claims = [_claim(row) for row in store.intact(connection, "runs")]
    return {claim.run_id: claim for claim in claims}


def claim_of(connection: sqlite3.Connection, run_id: str) -> Claim | None:
    """The same of one run; None where there is no such run. `UnreadableRecord` where its record is damaged."""
    try:
        return _claim(find(connection, "runs", run_id))
    except UnknownRecord:
        return None


def give_up_weights(connection: sqlite3.Connection, run_id: str) -> None:
    """Let a run have no weights any more, and untrain the models that are promoted from it."""
    run = find(connection, "runs", run_id)
    change(connection, "runs", run, {"saved_model_path": None})
    renew(connection, run["model_id"])
    untrained = {"trained": False, "saved_model_path": None, "saved_run_id": None}
    for model in connection.execute(f"{SELECT['models']} WHERE saved_run_id = ?", (run_id,)).fetchall():
        if intact(model):
            change(connection, "models", model, untrained)


def give_up_training(connection: sqlite3.Connection, run_id: str) -> None:
    """Let a run without its training state be resumable no more."""
    change(connection, "runs", find(connection, "runs", run_id), {"resumable": False})


def _claim(row: sqlite3.Row) -> Claim:
    return Claim(**{**{name: row[name] for name in NAMES}, "resumable": bool(row["resumable"])})
