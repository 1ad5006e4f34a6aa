"""/api/compare: runs side by side."""

from __future__ import annotations

from dataclasses import dataclass

from flask.typing import ResponseReturnValue

from backend.actions.pictures import Easel, of_runs
from backend.parsing.queries import Compared, ComparedCurves
from backend.state.store import Store
from backend.web.compare import comparison, comparison_csv, found
from backend.web.pages import json_answer
from backend.web.pictures import picture_answer
from backend.web.query import asked
from backend.web.routes import route


@dataclass(frozen=True)
class CompareRoutes:
    """Under /api."""

    store: Store
    easel: Easel

    @route("GET", "/compare")
    def get_comparison(self) -> ResponseReturnValue:
        """Runs side by side: hyperparameters and layers that differ, the best and last metrics, metrics by epoch."""
        return json_answer(comparison(self.store, asked(Compared).runs))

    @route("GET", "/compare.csv")
    def get_comparison_csv(self) -> ResponseReturnValue:
        """Metrics of runs side by side as CSV: a row for each epoch, and for each metric a column per run."""
        return comparison_csv(self.store, asked(Compared).runs)

    @route("GET", "/compare.svg")
    def get_comparison_picture(self) -> ResponseReturnValue:
        """Metrics of runs side by side as a picture: a panel for each metric, a line for each run."""
        query = asked(ComparedCurves)
        with self.store.moment():
            picture = of_runs(self.store, found(self.store, query.runs, metrics=True), query)
        return picture_answer(self.easel, picture)
