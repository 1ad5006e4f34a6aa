"""What a server does with benchmarks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

from backend.client.answers import SHORT, Answer, read, read_all
from backend.client.calls import PAGE, Calls, Json
from backend.client.ids import whole_id
from backend.client.overrides import body_of
from backend.client.stream import Event, Follower


class Benchmark(Answer, kw_only=True):
    """A benchmark. `results`: as `results.json` of `lamina bench` has them, where it was asked for by itself."""

    benchmark_id: str
    state: str
    created_at: str
    name: str = ""
    cells_total: int = 0
    cells_measured: int = 0
    started_at: str | None = None
    completed_at: str | None = None
    error: str | None = None
    warnings: list[str] = []
    request: Json = {}
    queue_position: int | None = None
    results: Json | None = None

    @property
    def short(self) -> str:
        """The beginning of its id, as commands show it."""
        return self.benchmark_id[:SHORT]

    @property
    def ended(self) -> bool:
        """Whether nothing more is measured."""
        return self.state not in ("queued", "running")


AnyBenchmark: TypeAlias = str | Benchmark
Report = Literal["json", "csv", "html"]


class BenchmarkCalls(Calls):
    """Networks measured side by side, on the devices of the server."""

    def bench(
        self, bodies: Sequence[str | Path | Mapping[str, Any]], *, queue: bool | None = None, **fields: Any
    ) -> Benchmark:
        """Starts a benchmark, or queues it. bodies: as `train` takes them, or names of networks.

        fields: as `POST /api/benchmarks` has them: devices, precisions, batch_sizes, repeats, target, preset, name.
        Raises Invalid with every problem, and Conflict if something is active and `queue` is False.
        """
        sent = [each if is_name(each) else body_of(each) for each in bodies]
        given = {name: value for name, value in {**fields, "queue": queue}.items() if value is not None}
        return read(Benchmark, self.post("/api/benchmarks", {"bodies": sent, **given}))

    def benchmarks(self, *, limit: int | None = None) -> Iterator[Benchmark]:
        """Benchmarks without what they measured, newest first, fetched page by page as they are asked for."""
        given, before = 0, None
        while limit is None or given < limit:
            size = PAGE if limit is None else min(PAGE, limit - given)
            answer = self.get("/api/benchmarks", limit=size, before=before)
            found = read_all(Benchmark, answer.get("benchmarks"))
            yield from found
            given, before = given + len(found), answer.get("next")
            if before is None:
                return

    def benchmark(self, benchmark: AnyBenchmark) -> Benchmark:
        """A benchmark with what it has measured so far, in `results`."""
        return read(Benchmark, self.get(f"/api/benchmarks/{self.benchmark_id(benchmark)}"))

    def benchmark_report(self, benchmark: AnyBenchmark, form: Report) -> bytes:
        """What it has measured, as `results.json`, `results.csv` or `report.html`. Conflict before there is any."""
        path = f"/api/benchmarks/{self.benchmark_id(benchmark)}.{form}"
        return bytes(self.transport.send("GET", path).content)

    def benchmark_events(
        self,
        benchmark: AnyBenchmark,
        *,
        timeout: float | None = None,
        patience: float = 300.0,
        last_event_id: str = "",
    ) -> Iterator[Event]:
        """The events of a benchmark: their history, then live, until it has ended; as `events` of runs."""
        path = f"/api/benchmarks/{self.benchmark_id(benchmark)}/events"
        return Follower(self.transport, path, {}, None, last_event_id, timeout, patience).events()

    def wait_for_benchmark(
        self,
        benchmark: AnyBenchmark,
        *,
        timeout: float | None = None,
        on_event: Callable[[Event], object] = lambda event: None,
    ) -> Benchmark:
        """A benchmark once it has ended; how is its `state`. Raises TimedOut after `timeout` seconds; it goes on."""
        whole = self.benchmark_id(benchmark)
        for event in self.benchmark_events(whole, timeout=timeout):
            on_event(event)
        return self.benchmark(whole)

    def cancel_benchmark(self, benchmark: AnyBenchmark) -> None:
        """Cancels an active benchmark; what it has measured is kept. Raises Conflict where it has ended already."""
        self.post(f"/api/benchmarks/{self.benchmark_id(benchmark)}/cancel")

    def delete_benchmark(self, benchmark: AnyBenchmark) -> None:
        """Deletes a benchmark with all that it measured. Raises Conflict while it is active."""
        self.transport.json("DELETE", f"/api/benchmarks/{self.benchmark_id(benchmark)}")

    def benchmark_id(self, benchmark: AnyBenchmark) -> str:
        """The whole id of a benchmark that may be shortened, or is given by name. Raises NotFound, Ambiguous."""
        if not isinstance(benchmark, str):
            return benchmark.benchmark_id

        def listed(beginning: str = "") -> Iterator[tuple[str, str]]:
            found = ((each.benchmark_id, each.name) for each in self.benchmarks())
            return (each for each in found if each[0].startswith(beginning))

        return whole_id(benchmark, "benchmark", by_id=listed, by_name=lambda _: listed())


def is_name(body: str | Path | Mapping[str, Any]) -> bool:
    """Whether a body is the name of a network, and no file."""
    return isinstance(body, str) and not body.endswith(".json") and not Path(body).is_file()
