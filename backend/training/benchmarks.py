"""Benchmarks on their way into the queue."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import uuid4

from backend.events.benchmark_log import BenchmarkLog
from backend.state.records import BenchmarkRecord, Json, utc_now
from backend.training.benchmark_handler import BenchmarkHandler, BenchmarkJob
from backend.training.engine import Engine
from backend.training.job_queue import JobQueue


@dataclass(frozen=True, kw_only=True)
class NewBenchmark:
    """What a benchmark shall be. `request`: complete, as the engine takes it. `queue`: it waits behind others."""

    name: str
    request: Json
    cells: int
    warnings: list[str]
    queue: bool

    def record(self) -> BenchmarkRecord:
        """Of a benchmark that waits, under an id of its own."""
        return BenchmarkRecord(
            benchmark_id=f"b_{uuid4().hex}",
            state="queued",
            created_at=utc_now(),
            name=self.name,
            request=self.request,
            cells_total=self.cells,
            warnings=list(self.warnings),
        )


@dataclass(frozen=True)
class Benchmarks:
    """Submits benchmarks."""

    queue: JobQueue
    handler: BenchmarkHandler

    @property
    def log(self) -> BenchmarkLog:
        return self.handler.log

    @property
    def engine(self) -> Engine:
        return self.handler.engine

    def results(self, benchmark_id: str) -> Json | None:
        """What has been measured so far. `UnknownRecord`."""
        return self.handler.results(benchmark_id)

    def submit(self, new: NewBenchmark) -> BenchmarkRecord:
        """Record a new benchmark as queued and hand it to the queue. Raises as `JobQueue.admit` does."""
        kept: list[BenchmarkRecord] = []

        def job_at(place: int | None) -> BenchmarkJob:
            kept.append(self.log.create(new.record(), queue_position=place))
            return BenchmarkJob(record=kept[0])

        self.queue.enter(job_at, queue=new.queue)
        return kept[0]
