"""/api/models: definitions, and the runs promoted into them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flask import jsonify
from flask.typing import ResponseReturnValue

from backend.actions.definitions import Definitions, remarks
from backend.actions.deletion import Deletion
from backend.actions.promotion import Promotion
from backend.errors import not_found
from backend.parsing.queries import ModelPage, Page
from backend.state.checkpoints import Checkpoints
from backend.state.records import DETAILS, Json, ModelRecord
from backend.state.selection import Selection
from backend.state.sizes import Sizes
from backend.state.store import Store
from backend.training.runs import Runs
from backend.web.body import json_object
from backend.web.pages import json_answer, page
from backend.web.query import asked
from backend.web.routes import route
from backend.web.views import model_summary, promoted, run_view

NEWEST = 1000  # models in a list that names no limit
NEWEST_RUNS = 100  # of a model


@dataclass(frozen=True)
class ModelRoutes:
    """Under /api."""

    store: Store
    checkpoints: Checkpoints
    runs: Runs
    definitions: Definitions
    promotion: Promotion
    deletion: Deletion
    sizes: Sizes

    @route("GET", "/models")
    def list_models(self) -> ResponseReturnValue:
        """Models, newest first, as a bare array. The header `Link` leads to the next page."""
        query = asked(ModelPage)
        limit = query.limit or NEWEST
        found = self.store.each_model(before=query.before, begins=query.id)
        listed = page(found, self._summary, limit=limit)
        response = json_answer(listed.items)
        if listed.next is not None:
            response.headers["Link"] = f'</api/models?limit={limit}&before={listed.next}>; rel="next"'
        return response

    @route("POST", "/models")
    def define_model(self) -> ResponseReturnValue:
        """Create (201) or change (200) a model."""
        model, new = self.definitions.define(json_object())
        headers = {"Location": f"/api/models/{model.model_id}"} if new else {}
        return jsonify(self._defined(model, new=new)), 201 if new else 200, headers

    @route("GET", "/models/<model_id>")
    def get_model(self, model_id: str) -> ResponseReturnValue:
        """A model with its runs, newest first. `next` leads to the next page."""
        query = asked(Page)
        standing = self.runs.standing()
        with self.store.moment():
            model = self.store.get_model(model_id)
            if model is None:
                raise not_found("model", model_id, listing="/api/models")
            found = self.store.each_run(Selection(model_id), before=query.before, details=DETAILS)
            listed = page(
                found,
                lambda run: run_view(run, standing, self.sizes.of_run(run.run_id)),
                limit=query.limit or NEWEST_RUNS,
            )
        warnings = self.store.unreadable.sentences("runs", "events")
        summary = self._summary(model)
        if summary["saved_run_id"] and not summary["saved_model_exists"] and self.store.get_model(model_id) is None:
            raise not_found("model", model_id, listing="/api/models")  # its files are going with it just now
        return json_answer({**summary, "runs": listed.items, "next": listed.next, "warnings": warnings})

    @route("PATCH", "/models/<model_id>")
    def change_model(self, model_id: str) -> ResponseReturnValue:
        """Change the given fields of an existing model, down to single hyperparameters."""
        return jsonify(self._defined(self.definitions.change(model_id, json_object())))

    @route("DELETE", "/models/<model_id>")
    def delete_one(self, model_id: str) -> ResponseReturnValue:
        """Delete a model, its runs and their files. 409 while one of them is active."""
        run_ids = self.deletion.model(model_id)
        return jsonify({"model_id": model_id, "deleted": True, "runs_deleted": run_ids})

    @route("POST", "/models/<model_id>/save")
    def save_model(self, model_id: str) -> ResponseReturnValue:
        """Store an untrained definition; with a `run_id`, promote that run."""
        body = json_object()
        if body.get("run_id") is None:
            return jsonify(self._defined(self.definitions.save(model_id, body)))
        return jsonify(promoted(*self.promotion.promote(body, model_id)))

    @route("POST", "/models/save")
    def save_run(self) -> ResponseReturnValue:
        """Promote a run, and name its model."""
        return jsonify(promoted(*self.promotion.promote(json_object()))), 201

    def _summary(self, model: ModelRecord) -> Json:
        return model_summary(model, self.checkpoints, self.sizes.of_runs(self._run_ids(model)))

    def _run_ids(self, model: ModelRecord) -> Sequence[str]:
        """The runs of a model. Most models of a long list have one, which their records name."""
        if model.runs_total == 1 and model.latest_run is not None:
            return (model.latest_run["run_id"],)
        return self.store.run_ids_of(model.model_id) if model.runs_total else ()

    def _defined(self, model: ModelRecord, *, new: bool = False) -> Json:
        return {**self._summary(model), "warnings": remarks(model, new=new)}
