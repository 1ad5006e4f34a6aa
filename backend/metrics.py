"""A run's metrics, polled: as JSON, and as CSV for spreadsheets."""

from __future__ import annotations

import csv
import io
from dataclasses import fields

from flask import Response, request
from typing_extensions import TypedDict

from backend.records import Json, RunRecord, RunState
from backend.store import Store
from nets.events import EpochMetrics

COLUMNS = ("id", "run_id", *(field.name for field in fields(EpochMetrics)))


class Metrics(TypedDict):
    """A run's metrics after an event. `last_event_id`: what to send as `since` next time."""

    run_id: str
    state: RunState
    last_event_id: int
    metrics: list[Json]


def metrics_since(store: Store, run: RunRecord, since: int) -> Metrics:
    """Metrics with an event id above `since`."""
    events = store.events(run.run_id, after=since)
    return {
        "run_id": run.run_id,
        "state": run.state,
        "last_event_id": events[-1].id if events else since,
        "metrics": [{"id": event.id, **event.data} for event in events if event.name == "metric"],
    }


def prefers_csv() -> bool:
    """Whether the Accept header ranks CSV above JSON."""
    return request.accept_mimetypes.best_match(["application/json", "text/csv"]) == "text/csv"


def metrics_csv(found: Metrics) -> Response:
    """One row per epoch below a row of names."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, extrasaction="ignore", lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(found["metrics"])
    headers = {"Content-Disposition": f'inline; filename="{found["run_id"]}.csv"'}
    return Response(text.getvalue(), mimetype="text/csv", headers=headers)
