"""/api/inspect: what a training would cost."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
from flask import Response
from flask.typing import ResponseReturnValue

from backend.actions.inspection import Inspection
from backend.web.body import json_object
from backend.web.error_handlers import as_sent
from backend.web.routes import route


@dataclass(frozen=True)
class InspectionRoutes:
    """Under /api."""

    inspection: Inspection

    @route("POST", "/inspect")
    def inspect(self) -> ResponseReturnValue:
        """Tell what a network costs before it trains: shapes, operations, memory, seconds, and what is wrong."""
        found, problems = self.inspection.answer(json_object())
        answer = {**found, "problems": as_sent(problems)}
        return Response(msgspec.json.encode(answer) + b"\n", mimetype="application/json")
