"""/api/benchmarks: networks measured side by side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from flask import Response, jsonify
from flask.typing import ResponseReturnValue

from backend.actions.benchmarks import BenchmarkOrders
from backend.actions.deletion import Deletion
from backend.errors import ApiError, not_found
from backend.parsing.queries import BenchmarkEvents, Page
from backend.parsing.requests import CancelBody, check
from backend.state.errors import UnknownRecord
from backend.state.records import BenchmarkRecord, Json
from backend.state.rows import dumps
from backend.state.store import Store
from backend.training.runs import Runs
from backend.web.benchmarks import accepted, listed
from backend.web.body import json_object
from backend.web.event_stream import EventStreams
from backend.web.pages import json_answer, page
from backend.web.pictures import POLICY
from backend.web.query import asked
from backend.web.routes import route
from nets.benchmarks.results import Results
from nets.benchmarks.tables import to_csv

NEWEST = 50  # benchmarks in a list that names no limit


def drawn(results: Results) -> str:
    """The report. Matplotlib is loaded when the first one is asked for."""
    from nets.benchmarks.report import report

    return report(results)


@dataclass(frozen=True)
class BenchmarkRoutes:
    """Under /api."""

    store: Store
    runs: Runs
    orders: BenchmarkOrders
    event_streams: EventStreams
    deletion: Deletion

    @route("POST", "/benchmarks")
    def benchmark(self) -> ResponseReturnValue:
        """Measure networks side by side, or queue that behind what is active."""
        record, position = self.orders.submit(json_object())
        return jsonify(accepted(record, position)), 202, {"Location": f"/api/benchmarks/{record.benchmark_id}"}

    @route("GET", "/benchmarks")
    def list_benchmarks(self) -> ResponseReturnValue:
        """Benchmarks, newest first, without what they measured. `next` leads to the next page."""
        query = asked(Page)
        standing = self.runs.standing()
        found = self.store.each_benchmark(before=query.before)
        shown = page(found, lambda each: listed(each, standing), limit=query.limit or NEWEST)
        warnings = self.store.unreadable.sentences("benchmarks")
        return json_answer({"benchmarks": shown.items, "next": shown.next, "warnings": warnings})

    @route("GET", "/benchmarks/<benchmark_id>")
    def get_benchmark(self, benchmark_id: str) -> ResponseReturnValue:
        """A benchmark with all that it has measured so far."""
        standing = self.runs.standing()
        record = self._find(benchmark_id)
        results = self.orders.benchmarks.results(benchmark_id)
        warnings = [*record.warnings, *self.store.unreadable.of("benchmark_events", benchmark_id)]
        return json_answer({**listed(record, standing), "warnings": warnings, "results": results})

    @route("GET", "/benchmarks/<benchmark_id>.json")
    def get_results(self, benchmark_id: str) -> ResponseReturnValue:
        """What it has measured so far as `results.json`, as `lamina bench` writes it."""
        return self._file(benchmark_id, "results.json", "application/json", lambda found: dumps(found) + "\n")

    @route("GET", "/benchmarks/<benchmark_id>.csv")
    def get_table(self, benchmark_id: str) -> ResponseReturnValue:
        """What it has measured so far as CSV, a row for each cell."""
        return self._file(benchmark_id, "results.csv", "text/csv", lambda found: to_csv(cast(Results, found)))

    @route("GET", "/benchmarks/<benchmark_id>.html")
    def get_report(self, benchmark_id: str) -> ResponseReturnValue:
        """What it has measured so far as a report: one page with pictures, which loads nothing."""
        answer = self._file(benchmark_id, "report.html", "text/html", lambda found: drawn(cast(Results, found)))
        answer.headers["Content-Security-Policy"] = POLICY
        return answer

    @route("GET", "/benchmarks/<benchmark_id>/events")
    def get_events(self, benchmark_id: str) -> ResponseReturnValue:
        """Server-Sent Events of a benchmark: its history, then live. 204 for a client that has the last event."""
        self._find(benchmark_id)
        return self.event_streams.of_benchmark(benchmark_id, asked(BenchmarkEvents))

    @route("POST", "/benchmarks/<benchmark_id>/cancel")
    def cancel(self, benchmark_id: str) -> ResponseReturnValue:
        """Cancel an active benchmark; what it has measured is kept. The body is empty, or an empty object."""
        check(CancelBody, json_object(required=False))
        try:
            self.runs.cancel(benchmark_id, kind="benchmark")
        except UnknownRecord:
            raise not_found("benchmark", benchmark_id, listing="/api/benchmarks") from None
        return jsonify({"benchmark_id": benchmark_id, "state": "cancelling"}), 202

    @route("DELETE", "/benchmarks/<benchmark_id>")
    def delete_one(self, benchmark_id: str) -> ResponseReturnValue:
        """Delete a benchmark with all that it measured. 409 while it is active."""
        self.deletion.benchmark(benchmark_id)
        return jsonify({"benchmark_id": benchmark_id, "deleted": True})

    def _file(self, benchmark_id: str, name: str, media: str, written: Callable[[Json], str]) -> Response:
        """The results in one of their forms; 409 before there are any."""
        record = self._find(benchmark_id)
        results = self.orders.benchmarks.results(benchmark_id)
        if results is None:
            raise ApiError(409, f"Benchmark {benchmark_id} is {record.state}, and nothing has been measured")
        answer = Response(written(results), mimetype=media)
        answer.headers["Content-Disposition"] = f'inline; filename="{name}"'
        return answer

    def _find(self, benchmark_id: str) -> BenchmarkRecord:
        record = self.store.get_benchmark(benchmark_id)
        if record is None:
            raise not_found("benchmark", benchmark_id, listing="/api/benchmarks")
        return record
