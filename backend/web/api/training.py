"""/api/train: starting and cancelling runs."""

from __future__ import annotations

from dataclasses import dataclass

from flask import g, jsonify
from flask.typing import ResponseReturnValue

from backend.actions.launch import Launch
from backend.actions.resume import Resume
from backend.errors import not_found
from backend.parsing.requests import CancelBody, check
from backend.state.errors import UnknownRecord
from backend.training.runs import Runs
from backend.web.body import json_object
from backend.web.routes import route
from backend.web.views import accepted, resumed


@dataclass(frozen=True)
class TrainingRoutes:
    """Under /api."""

    launch: Launch
    resume: Resume
    runs: Runs

    @route("POST", "/train")
    def train(self) -> ResponseReturnValue:
        """Start a run in the background, or queue it behind the active one."""
        run, name, position, order = self.launch.run(json_object())
        g.run_id = run.run_id
        doubts = [doubt.to_json() for doubt in order.doubts]
        answer = {**accepted(run, name, position), "doubts": doubts, "learning_rate": order.rates}
        if run.hyperparams.get("augment"):
            answer["augmented"] = "training"
        return jsonify(answer), 202, {"Location": f"/api/runs/{run.run_id}"}

    @route("POST", "/runs/<run_id>/cancel")
    def cancel(self, run_id: str) -> ResponseReturnValue:
        """Cancel an active run; its `state` event tells when it has stopped. The body is empty, or an empty object."""
        check(CancelBody, json_object(required=False))
        try:
            self.runs.cancel(run_id)
        except UnknownRecord:
            raise not_found("run", run_id, listing="/api/runs") from None
        return jsonify({"run_id": run_id, "state": "cancelling", "status": "cancelling"}), 202

    @route("POST", "/train/<run_id>/cancel")
    def cancel_by_its_first_path(self, run_id: str) -> ResponseReturnValue:
        """Cancel a run by the first path, which is kept: the same as `POST /api/runs/{run_id}/cancel`."""
        return self.cancel(run_id)

    @route("POST", "/runs/<run_id>/resume")
    def resume_run(self, run_id: str) -> ResponseReturnValue:
        """Resume an interrupted or cancelled run. The body is empty, or has `queue`."""
        run, name, position = self.resume.same_run(run_id, json_object(required=False))
        return jsonify(resumed(run, name, position)), 202, {"Location": f"/api/runs/{run_id}"}
