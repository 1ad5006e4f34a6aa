"""/api/train: starting and cancelling runs."""

from __future__ import annotations

from flask import Blueprint, g, jsonify
from flask.typing import ResponseReturnValue

from backend.actions.launch import launch
from backend.actions.resume import resume
from backend.errors import not_found
from backend.services import services
from backend.state.errors import UnknownRecord
from backend.web.body import json_object
from backend.web.views import accepted, resumed

bp = Blueprint("training", __name__)


@bp.post("/train")
def train() -> ResponseReturnValue:
    """Start a run in the background, or queue it behind the active one."""
    run, name, position = launch(services(), json_object())
    g.run_id = run.run_id
    return jsonify(accepted(run, name, position)), 202, {"Location": f"/api/runs/{run.run_id}"}


@bp.post("/train/<run_id>/cancel")
def cancel(run_id: str) -> ResponseReturnValue:
    """Ask an active run to stop; its `state` event says when it has. The body is empty, or an empty object."""
    json_object(required=False)
    try:
        services().runs.cancel(run_id)
    except UnknownRecord:
        raise not_found("run", run_id, listing="/api/runs") from None
    return jsonify({"run_id": run_id, "status": "cancelling"}), 202


@bp.post("/runs/<run_id>/resume")
def resume_run(run_id: str) -> ResponseReturnValue:
    """Go on with a run that was interrupted or cancelled, as the same run. The body is empty, or says `queue`."""
    run, name, position = resume(services(), run_id, json_object(required=False))
    return jsonify(resumed(run, name, position)), 202, {"Location": f"/api/runs/{run_id}"}
