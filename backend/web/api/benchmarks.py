"""/api/benchmarks: networks measured side by side."""

from __future__ import annotations

from dataclasses import dataclass

from flask import jsonify
from flask.typing import ResponseReturnValue

from backend.actions.benchmarks import BenchmarkOrders
from backend.actions.deletion import Deletion
from backend.errors import not_found
from backend.parsing.queries import BenchmarkEvents, Page
from backend.parsing.requests import CancelBody, check
from backend.state.errors import UnknownRecord
from backend.state.records import BenchmarkRecord
from backend.state.store import Store
from backend.training.runs import Runs
from backend.web.benchmarks import accepted, listed
from backend.web.body import json_object
from backend.web.event_stream import EventStreams
from backend.web.pages import json_answer, page
from backend.web.query import asked
from backend.web.routes import route

NEWEST = 50  # benchmarks in a list that names no limit


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
        results = self.store.measured_in(benchmark_id)
        warnings = [*record.warnings, *self.store.unreadable.of("benchmark_events", benchmark_id)]
        return json_answer({**listed(record, standing), "warnings": warnings, "results": results})

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

    def _find(self, benchmark_id: str) -> BenchmarkRecord:
        record = self.store.get_benchmark(benchmark_id)
        if record is None:
            raise not_found("benchmark", benchmark_id, listing="/api/benchmarks")
        return record
