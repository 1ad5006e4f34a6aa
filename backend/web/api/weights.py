"""/api/runs/<id>/weights: weights for other programs."""

from __future__ import annotations

from dataclasses import dataclass

from flask.typing import ResponseReturnValue

from backend.actions.weights import Weights
from backend.parsing.queries import WeightsQuery
from backend.web.downloads import Downloads
from backend.web.query import asked
from backend.web.routes import route


@dataclass(frozen=True)
class WeightsRoutes:
    """Under /api."""

    weights: Weights
    downloads: Downloads

    @route("GET", "/runs/<run_id>/weights")
    def get_weights(self, run_id: str) -> ResponseReturnValue:
        """The weights of a succeeded run as a file: as it is kept, or for NumPy, safetensors and PyTorch."""
        return self.downloads.response(self.weights.find(run_id, asked(WeightsQuery)))
