"""Benchmarks as clients read them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired

from typing_extensions import TypedDict

from backend.state.records import ACTIVE, BenchmarkRecord, Json, Standing, Told
from backend.web.views import fields_of, shown, view

TOLD = {
    **fields_of(BenchmarkRecord),
    "events_url": str,
    "cancelling": bool,  # it was cancelled, and has not ended yet
    "queue_position": NotRequired[int],  # only while it has one
}

ListedBenchmark = view("ListedBenchmark", "A benchmark as in `GET /api/benchmarks`, without what it measured.", TOLD)
Benchmark = view(
    "Benchmark",
    "A benchmark with what it has measured so far, in the form of `results.json` of `lamina bench`.",
    TOLD,
    {"results": Json | None},
)
AcceptedBenchmark = view(
    "AcceptedBenchmark",
    "The 202 of `POST /api/benchmarks`.",
    fields_of(BenchmarkRecord, ("benchmark_id", "name", "created_at", "request", "cells_total", "warnings")),
    {"events_url": str, "state": Literal["queued"], "queue_position": NotRequired[int]},
)


class CellEvent(TypedDict):
    """The data of `event: cell` of a benchmark: a cell as far as it is measured; it replaces earlier ones."""

    benchmark_id: str
    cell: Annotated[Json, Told("As in the `cells` of the results.")]


class BenchmarkProgressEvent(TypedDict):
    """The data of `event: progress` of a benchmark: where it is; not stored, and not replayed."""

    benchmark_id: str
    phase: Annotated[Literal["waiting", "measuring"], Told("`waiting`: for what is being compiled to be done.")]
    fraction: Annotated[float, Told("Of the whole.")]
    cell: NotRequired[Annotated[Json, Told("Which is measured: body, device, precision and batch_size.")]]
    seconds_left: NotRequired[float]
    message: NotRequired[str]
    cancelling: NotRequired[Annotated[bool, Told("Whether it was cancelled, and has not ended yet.")]]


class BenchmarkLogEvent(TypedDict):
    """The data of `event: log` of a benchmark: a sentence for its reader."""

    benchmark_id: str
    level: Literal["info", "warning"]
    message: str


def listed(record: BenchmarkRecord, standing: Standing) -> Json:
    """A benchmark in brief."""
    brief = {
        **shown(record),
        "events_url": events_url(record.benchmark_id),
        "cancelling": record.state in ACTIVE and standing.cancelling == record.benchmark_id,
    }
    place = standing.places.get(record.benchmark_id) if record.state == "queued" else None
    return brief if place is None else {**brief, "queue_position": place}


def accepted(record: BenchmarkRecord, queue_position: int | None) -> Json:
    """A benchmark that waits or starts. It may have started by now: this is what was accepted."""
    names = ("benchmark_id", "name", "created_at", "request", "cells_total", "warnings")
    answer: dict[str, Any] = {**shown(record, names), "events_url": events_url(record.benchmark_id), "state": "queued"}
    return answer if queue_position is None else {**answer, "queue_position": queue_position}


def events_url(benchmark_id: str) -> str:
    """Relative, so that it holds behind any proxy."""
    return f"/api/benchmarks/{benchmark_id}/events"
