"""/api/models: definitions, and the runs promoted into them."""

from __future__ import annotations

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue

from backend.actions import definitions
from backend.actions.deletion import delete_model
from backend.errors import not_found
from backend.services import services
from backend.state.records import DETAILS, ModelRecord
from backend.web.body import json_object
from backend.web.pages import asked, json_answer, page
from backend.web.views import Defined, model_summary, promoted, run_view

bp = Blueprint("models", __name__)


NEWEST = 1000  # models in a list that names no limit
NEWEST_RUNS = 100  # of a model


@bp.get("/models")
def list_models() -> ResponseReturnValue:
    """Models, newest first: a bare array. Where there are more, the header `Link` leads to older ones."""
    here, (limit, before) = services(), asked(usual=NEWEST)
    found = here.store.each_model(before=before)
    listed = page(found, lambda model: model_summary(model, here.checkpoints), limit=limit)
    response = json_answer(listed.items)
    if listed.next is not None:
        response.headers["Link"] = f'</api/models?limit={limit}&before={listed.next}>; rel="next"'
    return response


@bp.post("/models")
def define_model() -> ResponseReturnValue:
    """Create (201) or change (200) a definition."""
    model, new = definitions.define(services(), json_object())
    headers = {"Location": f"/api/models/{model.model_id}"} if new else {}
    return jsonify(_defined(model, new=new)), 201 if new else 200, headers


@bp.get("/models/<model_id>")
def get_model(model_id: str) -> ResponseReturnValue:
    """A model with its runs, newest first. `next` leads to older ones."""
    here, (limit, before) = services(), asked(usual=NEWEST_RUNS)
    standing = here.runs.standing()
    with here.store.moment():
        model = here.store.get_model(model_id)
        if model is None:
            raise not_found("model", model_id, listing="/api/models")
        found = here.store.each_run(model_id, before=before, details=DETAILS)
        listed = page(found, lambda run: run_view(run, standing), limit=limit)
    warnings = here.store.unreadable.sentences("runs", "events")
    summary = model_summary(model, here.checkpoints)
    if summary["saved_run_id"] and not summary["saved_model_exists"] and here.store.get_model(model_id) is None:
        raise not_found("model", model_id, listing="/api/models")  # its files are going with it just now
    return json_answer({**summary, "runs": listed.items, "next": listed.next, "warnings": warnings})


@bp.patch("/models/<model_id>")
def change_model(model_id: str) -> ResponseReturnValue:
    """Change the fields that come, down to single hyperparameters, of a model that exists."""
    return jsonify(_defined(definitions.change(services(), model_id, json_object())))


@bp.delete("/models/<model_id>")
def delete_one(model_id: str) -> ResponseReturnValue:
    """Delete a model, its runs and their files. 409 while one of them is active."""
    run_ids = delete_model(services(), model_id)
    return jsonify({"model_id": model_id, "deleted": True, "runs_deleted": run_ids})


@bp.post("/models/<model_id>/save")
def save_model(model_id: str) -> ResponseReturnValue:
    """Store an untrained definition, or, given a `run_id`, promote that run."""
    here, body = services(), json_object()
    if body.get("run_id") is None:
        return jsonify(_defined(definitions.save_definition(here, model_id, body)))
    return jsonify(promoted(*definitions.promote(here, body, model_id)))


@bp.post("/models/save")
def save_run() -> ResponseReturnValue:
    """Promote a run into its model, with a name."""
    return jsonify(promoted(*definitions.promote(services(), json_object()))), 201


def _defined(model: ModelRecord, *, new: bool = False) -> Defined:
    return {**model_summary(model, services().checkpoints), "warnings": definitions.remarks(model, new=new)}
