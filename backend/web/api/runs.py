"""/api/runs: records, metrics and live events of runs."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify, request
from flask.typing import ResponseReturnValue

from backend.actions.deletion import delete_run
from backend.errors import not_found
from backend.parsing.requests import MAX_LISTED, MAX_SINCE
from backend.services import services
from backend.state.records import ACTIVE, DETAILS, TERMINAL, RunRecord
from backend.web.body import query_choice, query_choices, query_number
from backend.web.event_stream import event_stream, last_event_id
from backend.web.metrics import Telling, metrics_csv, metrics_json, prefers_csv, telling
from backend.web.pages import asked, json_answer, page
from backend.web.views import listed_run, run_view

bp = Blueprint("runs", __name__)

NEWEST = 50  # runs in a list that names no limit


@bp.get("/runs")
def list_runs() -> ResponseReturnValue:
    """Runs in brief, newest first; of a model, in a state. `next` leads to older ones."""
    here, state = services(), query_choice("state", (*ACTIVE, *TERMINAL))
    include, (limit, before) = query_choices("include", DETAILS), asked(usual=NEWEST)
    standing = here.runs.standing()
    found = here.store.each_run(request.args.get("model_id"), state, before=before, details=include)
    listed = page(found, lambda run: listed_run(run, standing, include), limit=limit)
    warnings = here.store.unreadable.sentences("runs")
    return json_answer({"runs": listed.items, "next": listed.next, "warnings": warnings})


@bp.get("/runs/<run_id>")
def get_run(run_id: str) -> ResponseReturnValue:
    """A run with its metrics."""
    here = services()
    standing = here.runs.standing()
    run = _find(run_id, metrics=True)
    view = run_view(run, standing)
    return jsonify({**view, "warnings": [*run.warnings, *here.store.unreadable.of_run(run_id)]})


@bp.delete("/runs/<run_id>")
def delete_one(run_id: str) -> ResponseReturnValue:
    """Delete a run and its files. 409 while it is active, and while a model is promoted from it."""
    delete_run(services(), run_id)
    return jsonify({"run_id": run_id, "deleted": True})


@bp.get("/runs/<run_id>/metrics")
def get_metrics(run_id: str) -> ResponseReturnValue:
    """Metrics after the event that the client has last, as JSON, or as CSV where that is accepted rather."""
    found = _metrics(run_id)
    response = metrics_csv(found) if prefers_csv() else metrics_json(found)
    response.vary.add("Accept")
    return response


@bp.get("/runs/<run_id>/metrics.csv")
def get_metrics_csv(run_id: str) -> ResponseReturnValue:
    """Metrics after the event that the client has last, as CSV."""
    return metrics_csv(_metrics(run_id))


@bp.get("/runs/<run_id>/events")
def get_events(run_id: str) -> ResponseReturnValue:
    """Server-Sent Events: what happened, then what happens. 204 for a client that has the terminal event."""
    here, after = services(), last_event_id()
    _find(run_id)
    if here.log.finished(run_id, after):
        nothing = Response(status=204)
        del nothing.headers["Content-Type"]
        return nothing
    return event_stream(here, run_id, after=after)


def _metrics(run_id: str) -> Telling:
    """Those after the event that the query names."""
    since = query_number("since", least=0, most=MAX_SINCE) or 0
    limit = query_number("limit", least=1, most=MAX_LISTED)
    _find(run_id)
    return telling(services().store, run_id, since=since, limit=limit)


def _find(run_id: str, *, metrics: bool = False) -> RunRecord:
    run = services().store.get_run(run_id, metrics=metrics)
    if run is None:
        raise not_found("run", run_id, listing="/api/runs")
    return run
