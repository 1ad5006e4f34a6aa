"""/api/runs: records, metrics and live events of runs."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Response, jsonify
from flask.typing import ResponseReturnValue

from backend.actions.deletion import Deletion
from backend.actions.labels import Labels
from backend.actions.pictures import Easel, of_run
from backend.errors import not_found
from backend.parsing.queries import Curves, Deleting, RunEvents, RunPage, RunTable, Since
from backend.state.errors import UnknownCursor
from backend.state.records import RunRecord
from backend.state.sizes import Sizes
from backend.state.store import Store
from backend.training.runs import Runs
from backend.web.body import json_object
from backend.web.event_stream import EventStreams
from backend.web.metrics import Telling, metrics_csv, metrics_json, prefers_csv, telling
from backend.web.pages import json_answer, page
from backend.web.pictures import picture_answer
from backend.web.query import asked, lost
from backend.web.routes import route
from backend.web.run_table import runs_csv
from backend.web.views import listed_run, run_view

NEWEST = 50  # runs in a list that names no limit


@dataclass(frozen=True)
class RunRoutes:
    """Under /api."""

    store: Store
    runs: Runs
    event_streams: EventStreams
    deletion: Deletion
    labels: Labels
    sizes: Sizes
    easel: Easel

    @route("GET", "/runs")
    def list_runs(self) -> ResponseReturnValue:
        """Runs in brief, filtered and sorted; by default newest first. `next` leads to the next page."""
        query = asked(RunPage)
        standing = self.runs.standing()
        found = self.store.each_run(query.selection, before=query.before, details=query.include)
        try:
            listed = page(
                found,
                lambda run: listed_run(run, standing, query.include, self.sizes.of_run(run.run_id)),
                limit=query.limit or NEWEST,
            )
        except UnknownCursor as error:
            raise lost(error.before) from None
        warnings = self.store.unreadable.sentences("runs")
        return json_answer({"runs": listed.items, "next": listed.next, "warnings": warnings})

    @route("GET", "/runs.csv")
    def get_table(self) -> ResponseReturnValue:
        """Runs as CSV, filtered and sorted as in `GET /api/runs`: a row each, with all that is told in short."""
        query = asked(RunTable)
        return runs_csv(self.store, query.selection, limit=query.limit)

    @route("GET", "/runs/<run_id>")
    def get_run(self, run_id: str) -> ResponseReturnValue:
        """A run with its metrics."""
        return self._told(run_id)

    @route("PATCH", "/runs/<run_id>")
    def change_labels(self, run_id: str) -> ResponseReturnValue:
        """Change name, tags and notes of a run, in any state."""
        self.labels.change(run_id, json_object())
        return self._told(run_id)

    @route("DELETE", "/runs/<run_id>")
    def delete_one(self, run_id: str) -> ResponseReturnValue:
        """Delete a run and its files. 409 while it is active or a model is promoted from it."""
        with_model = asked(Deleting).with_model
        gone = self.deletion.run(run_id, with_model=with_model)
        return jsonify({"run_id": run_id, "deleted": True, **({"model_deleted": gone} if with_model else {})})

    @route("GET", "/runs/<run_id>/metrics")
    def get_metrics(self, run_id: str) -> ResponseReturnValue:
        """Metrics after the event `since`, as JSON, or as CSV if the Accept header prefers it."""
        found = self._metrics(run_id)
        response = metrics_csv(found) if prefers_csv() else metrics_json(found)
        response.vary.add("Accept")
        return response

    @route("GET", "/runs/<run_id>/metrics.csv")
    def get_metrics_csv(self, run_id: str) -> ResponseReturnValue:
        """Metrics after the event `since`, as CSV."""
        return metrics_csv(self._metrics(run_id))

    @route("GET", "/runs/<run_id>/events")
    def get_events(self, run_id: str) -> ResponseReturnValue:
        """Server-Sent Events of a run: its history, then live. 204 for a client that has the last event."""
        self._find(run_id)
        return self.event_streams.of_run(run_id, asked(RunEvents))

    @route("GET", "/runs/<run_id>/curves.svg")
    def get_curves(self, run_id: str) -> ResponseReturnValue:
        """Loss and accuracy of a run as a picture, with its best epoch, and a learning rate that changes."""
        query = asked(Curves)
        with self.store.moment():
            picture = of_run(self.store, self._find(run_id, metrics=True), query)
        return picture_answer(self.easel, picture)

    def _told(self, run_id: str) -> Response:
        standing = self.runs.standing()
        run = self._find(run_id, metrics=True)
        view = run_view(run, standing, self.sizes.of_run(run_id))
        return jsonify({**view, "warnings": [*run.warnings, *self.store.unreadable.of_run(run_id)]})

    def _metrics(self, run_id: str) -> Telling:
        """Those after the event that the query names."""
        query = asked(Since)
        self._find(run_id)
        return telling(self.store, run_id, since=query.since, limit=query.limit)

    def _find(self, run_id: str, *, metrics: bool = False) -> RunRecord:
        run = self.store.get_run(run_id, metrics=metrics)
        if run is None:
            raise not_found("run", run_id, listing="/api/runs")
        return run
