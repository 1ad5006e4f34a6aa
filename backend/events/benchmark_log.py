"""What happens in benchmarks, kept durably and told to whoever follows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from backend.events.live import Live
from backend.state.benchmarks import BenchmarkHistory
from backend.state.payloads import benchmark_state
from backend.state.records import BENCHMARK_ENDS, BENCHMARK_EVENT_KINDS, BenchmarkRecord, BenchmarkState, Json
from backend.state.store import Store


class BenchmarkLog(Live):
    """Durable events through the store, and the progress of the moment for those who follow now."""

    kind, kinds, ends = "benchmark", BENCHMARK_EVENT_KINDS, BENCHMARK_ENDS

    def __init__(
        self,
        store: Store,
        *,
        keep_alive: float = 10.0,
        wake: Callable[[], None] = lambda: None,
        ended: Callable[[], None] = lambda: None,
    ) -> None:
        """As of `Live`. `ended`: called after the end of each benchmark."""
        super().__init__(BenchmarkHistory(store), keep_alive=keep_alive, wake=wake)
        self._store, self._ended = store, ended

    def create(self, record: BenchmarkRecord, *, queue_position: int | None) -> BenchmarkRecord:
        """Add a benchmark that waits, durably; as it is kept."""
        with self._publishing:
            return self._store.create_benchmark(
                record, benchmark_state(record.benchmark_id, "queued", place=queue_position)
            )

    def publish(self, benchmark_id: str, name: str, data: Json, **fields: Any) -> int:
        with self._publishing:
            event_id = self._store.append_benchmark_event(benchmark_id, name, data, **fields)
            self._push(benchmark_id, name, data, event_id)
        return event_id

    def transition(
        self, benchmark_id: str, state: BenchmarkState, *, results: Json | None = None, **fields: Any
    ) -> int:
        """Put a benchmark into `state` with `fields` and `results`, durably; then wake the followers."""
        data = benchmark_state(benchmark_id, state, error=fields.get("error"))
        with self._publishing:
            event_id = self._store.transition_benchmark(benchmark_id, state, data=data, results=results, **fields)
            self._push_state(benchmark_id, state, data, event_id)
        if state in BENCHMARK_ENDS:
            self._ended()
        return event_id

    def move(self, places: Mapping[str, int]) -> None:
        """Tell benchmarks in the queue their new places, durably."""
        data = {
            benchmark_id: benchmark_state(benchmark_id, "queued", place=place) for benchmark_id, place in places.items()
        }
        with self._publishing:
            for benchmark_id, event_id in (self._store.append_to_each_benchmark("state", data) if data else {}).items():
                self._push(benchmark_id, "state", data[benchmark_id], event_id)
