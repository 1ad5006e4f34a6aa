"""`GET /api/runs.csv`: one row a run, with all that its record tells in short, for spreadsheets and data frames."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence

from flask import Response

from backend.state.records import Detail, RunRecord, kinds
from backend.state.selection import Selection
from backend.state.store import Store
from backend.state.summary import BEST, HIGH, LOW, METRICS, TEST
from backend.web.views import BRIEF, NAMES, shown
from nets.hyperparams.hyperparams import Hyperparams
from nets.spec.spreadsheets import harmless

FIRST = (  # the others follow as records have them
    *("run_id", "name", "tags", "notes", "model_id", "dataset_type", "state", "error", "epoch", "epochs_total"),
    *("hyperparams", "parameters", "test_accuracy", "test_loss", "best", "best_epoch", *HIGH, *LOW, "last"),
    *("created_at", "started_at", "completed_at", "seconds", "compile_seconds"),
    *("device", "device_id", "device_kind", "precision", "effective_precision", "kernels", "versions"),
)
# How a run was computed: what lists leave out, and what runs are compared by.
COMPUTED: tuple[Detail, ...] = (
    "compilation",
    "timing",
    "peak_memory",
    "environment",
    "dataset_sha256",
    "request_sha256",
)
COLUMNED = {*BRIEF, *COMPUTED} - {"test_metrics"}  # which have names as sorts have them
TOLD = [name for field, name in NAMES[RunRecord].items() if field in COLUMNED]
FIELDS = tuple(dict.fromkeys([*FIRST, *TOLD]))
OBJECTS = {NAMES[RunRecord][name] for name in COLUMNED if kinds(RunRecord)[name] is dict}
RANKS = {name: rank for rank, name in enumerate(Hyperparams.model_fields)}  # of hyperparameters
PIECE = 64 << 10  # characters of a piece of the answer, about

Cells = dict[str, object]


def runs_csv(store: Store, selection: Selection, *, limit: int | None) -> Response:
    """Selected runs below a row of names, read and sent piece by piece; those deleted meanwhile are left out."""
    chosen = store.select(selection, limit=limit)
    columns = columns_of(map(row, store.runs_at(chosen, COMPUTED)))
    response = Response(_pieces(columns, map(row, store.runs_at(chosen, COMPUTED))), mimetype="text/csv")
    response.headers["Content-Disposition"] = 'attachment; filename="runs.csv"'
    return response


def row(run: RunRecord) -> Cells:
    """A run by columns: what objects hold has dotted names."""
    told = shown(run, COLUMNED)
    reached = run.summary["reached"] if run.summary else {}
    last = {name: value for name, value in run.summary["last"].items() if name != "epoch"} if run.summary else None
    values = {**told, **reached, "tags": ",".join(run.tags), "best": run.best, "last": last, "seconds": run.seconds}
    cells: Cells = {}
    for name in FIELDS:
        if name in values:
            _put(cells, name, values[name])
    asked = {**reached, **{f"{TEST}{name}": value for name, value in (run.test_metrics or {}).items()}}
    return cells | {name: value for name, value in asked.items() if name not in FIELDS}


def columns_of(rows: Iterable[Cells]) -> list[str]:
    """All columns of some rows, in an order that depends on no order of theirs.

    Those without dots are always there, as are the best and the last of all metrics.
    """
    found = {f"best.{name}" for name in BEST} | {f"last.{name}" for name in METRICS} | set(FIELDS) - OBJECTS
    for cells in rows:
        found |= cells.keys()
    objects = {column[:at] for column in found for at, each in enumerate(column) if each == "."}
    return sorted(found - objects, key=_place)


def _place(column: str) -> tuple[int, int, str]:
    """Fields stand in the order of `FIELDS`, hyperparameters as they are described, all else by the alphabet."""
    field, _, rest = column.partition(".")
    known: Mapping[str, int] = {
        "hyperparams": RANKS,
        "best": {name: rank for rank, name in enumerate(BEST)},
        "last": {name: rank for rank, name in enumerate(METRICS)},
    }.get(field, {})
    if field not in FIELDS:  # a metric that was asked for
        return FIELDS.index(LOW[-1]), 1, field
    return FIELDS.index(field), known.get(rest.partition(".")[0], len(known)), rest


def _put(cells: Cells, name: str, value: object) -> None:
    """A value, or those in it, under dotted names; of an object that is missing, none."""
    if isinstance(value, dict):
        for key, each in value.items():
            _put(cells, f"{name}.{key}", each)
    elif value is not None or name not in OBJECTS:
        cells[name] = value


def cell(value: object) -> str | int | float:
    """A value as it is written: nothing for none, JSON for lists, text so that no spreadsheet takes it for a formula.

    Text that begins like a formula, blanks aside, gets an apostrophe in front.
    """
    if value is None or value == []:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return value
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return harmless(text)


def _pieces(columns: Sequence[str], rows: Iterable[Cells]) -> Iterator[bytes]:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(columns)
    for cells in rows:
        writer.writerow([cell(cells.get(name)) for name in columns])
        if text.tell() > PIECE:
            yield text.getvalue().encode()
            text.seek(0)
            text.truncate()
    if rest := text.getvalue():  # an empty piece would end a response in chunks
        yield rest.encode()
