"""/api/evaluate: kept weights, measured on a data set."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
from flask import Response, g
from flask.typing import ResponseReturnValue

from backend.actions.evaluation import Evaluation
from backend.web.body import json_object
from backend.web.routes import route


@dataclass(frozen=True)
class EvaluationRoutes:
    """Under /api."""

    evaluation: Evaluation

    @route("POST", "/evaluate")
    def evaluate(self) -> ResponseReturnValue:
        """Measure kept weights on the test, training or validation samples of a data set that fits. One at a time."""
        answer = self.evaluation.answer(json_object())
        g.run_id = answer["run_id"]
        return Response(msgspec.json.encode(answer) + b"\n", mimetype="application/json")
