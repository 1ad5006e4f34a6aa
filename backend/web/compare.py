"""Runs side by side, as JSON and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from heapq import merge
from itertools import groupby

from flask import Response

from backend.actions.compare import Comparison, compare, epochs_of, is_whole, value_at
from backend.errors import ApiError
from backend.quoting import quoted
from backend.state.records import Json, RunRecord
from backend.state.store import Store
from backend.state.summary import METRICS, beside
from backend.web.metrics import Telling, telling

PIECE = 64 << 10  # characters of a piece of the answer, about


def comparison(store: Store, run_ids: Sequence[str]) -> Comparison:
    """Runs as they are at one moment. ApiError 404 names those that there are not."""
    with store.moment():
        runs = found(store, run_ids, metrics=True)
        epochs = epochs_of(runs)
        curves = [
            {metric["epoch"]: metric for metric in run.metrics}
            if is_whole(run)
            else store.metrics_at(run.run_id, epochs)
            for run in runs
        ]
    warnings = [sentence for run_id in run_ids for sentence in store.unreadable.of_run(run_id)]
    return compare(runs, curves, epochs, now=datetime.now(UTC), warnings=warnings)


def found(store: Store, run_ids: Sequence[str], *, metrics: bool) -> list[RunRecord]:
    """Runs in this order."""
    runs = {run_id: store.get_run(run_id, metrics=metrics) for run_id in run_ids}
    unknown = [quoted(run_id) for run_id, run in runs.items() if run is None]
    if unknown:
        which = f"is no run {unknown[0]}" if len(unknown) == 1 else f"are no runs {', '.join(unknown)}"
        raise ApiError(404, f"There {which}; GET /api/runs lists the known ones")
    return [run for run in runs.values() if run is not None]


def comparison_csv(store: Store, run_ids: Sequence[str]) -> Response:
    """One row per epoch, and for each metric a column per run: all epochs, read and sent piece by piece."""
    runs = found(store, run_ids, metrics=False)
    names = [*METRICS, *dict.fromkeys(name for run in runs for name in beside(run.summary))]
    told = {run_id: telling(store, run_id, since=0, limit=None) for run_id in run_ids}
    response = Response(_pieces(told, names), mimetype="text/csv")
    response.headers["Content-Disposition"] = 'attachment; filename="compare.csv"'
    return response


def _pieces(told: Mapping[str, Telling], names: Sequence[str]) -> Iterator[bytes]:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(["epoch", *(f"{name} {run_id}" for name in names for run_id in told)])
    everything = merge(*map(_metrics, told.values()), key=lambda one: one[0])
    for epoch, group in groupby(everything, key=lambda one: one[0]):
        here = {run_id: metric for _, run_id, metric in group}
        writer.writerow([epoch, *(value_at(here.get(run_id, {}), name) for name in names for run_id in told)])
        if text.tell() > PIECE:
            yield text.getvalue().encode()
            text.seek(0)
            text.truncate()
    if rest := text.getvalue():  # an empty piece would end a response in chunks
        yield rest.encode()


def _metrics(told: Telling) -> Iterator[tuple[int, str, Json]]:
    """All metrics of a run, by epoch."""
    for events in told.pieces():
        yield from ((event.data["epoch"], told.run_id, event.data) for event in events)
