"""What the store keeps: a model definition, a training run and a benchmark."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from functools import cache, cached_property
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec
from typing_extensions import TypedDict, is_typeddict

from nets.facts import About, Compilation, Environment, PeakMemory, StoppedBy, TargetReached, Timing

RunState = Literal["queued", "running", "succeeded", "failed", "cancelled"]
ACTIVE: tuple[RunState, ...] = ("queued", "running")
TERMINAL: tuple[RunState, ...] = ("succeeded", "failed", "cancelled")
NEXT: dict[RunState, tuple[RunState, ...]] = {  # what a run may become
    "queued": ("running", "failed", "cancelled"),
    "running": ("succeeded", "failed", "cancelled"),
    "succeeded": (),
    "failed": (),
    "cancelled": (),
}

BenchmarkState = Literal["queued", "running", "succeeded", "failed", "cancelled", "interrupted"]
BENCHMARK_ENDS: tuple[BenchmarkState, ...] = (*TERMINAL, "interrupted")
BENCHMARK_NEXT: dict[BenchmarkState, tuple[BenchmarkState, ...]] = {
    "queued": ("running", *BENCHMARK_ENDS),
    "running": BENCHMARK_ENDS,
    "succeeded": (),
    "failed": (),
    "cancelled": (),
    "interrupted": (),
}

EventKind = Literal["state", "metric", "step", "progress", "log"]  # all but progress are kept
EVENT_KINDS: tuple[EventKind, ...] = get_args(EventKind)
BenchmarkEventKind = Literal["state", "cell", "progress", "log"]  # of a benchmark: all but progress are kept
BENCHMARK_EVENT_KINDS: tuple[BenchmarkEventKind, ...] = get_args(BenchmarkEventKind)
UNREADABLE = "unreadable"  # the name of an event that is no longer what was written: it has no data

Json = dict[str, Any]
Detail = Literal[
    "metrics",
    "sample_predictions",
    "worst",
    "architecture",
    "compilation",
    "timing",
    "peak_memory",
    "environment",
    "dataset_sha256",
    "request_sha256",
]
DETAILS: tuple[Detail, ...] = get_args(Detail)  # of a run: what makes it long


def utc_now() -> str:
    """The time as records carry it: ISO 8601, UTC, microseconds, always equally long."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


@dataclass(frozen=True)
class Told:
    """How a field of a record is kept and told: an annotation of its type, from which all else follows.

    about: what it is, for the OpenAPI document. name: in answers, where it has another one there. shown: to clients.
    lasting: what the weights were learned by, told in the file beside them; what is not says how the run stands.
    kept: in a column, for what the store looks for or changes often; in the one column of facts; or as events.
    """

    about: str = ""
    name: str | None = None
    shown: bool = True
    lasting: bool = True
    kept: Literal["column", "facts", "events"] = "column"

    def __get_pydantic_json_schema__(self, core: Any, handler: Any) -> Json:
        schema: Json = handler(core)
        return {**schema, "description": self.about} if self.about else schema


class Git(TypedDict):
    """The checkout that a server runs from."""

    commit: Annotated[str, About("The commit that is checked out.")]
    dirty: Annotated[bool, About("Whether files of the commit have been changed.")]


class ServerEnvironment(Environment):
    """The environment of a run, and the server that computed it."""

    settings: Annotated[dict[str, str | int], About("Settings of the server that bear on how a run is computed.")]
    git: Annotated[
        Git | None, About("The checkout that the server runs from; null where it runs from none that git reads.")
    ]


@dataclass(frozen=True)
class RunRecord:
    """One training run. Times are ISO 8601 in UTC; fractions 0 to 1.

    To add a field: add it here, with a default for the runs that were written without it.
    """

    run_id: str
    model_id: str
    state: Annotated[RunState, Told(lasting=False)]
    created_at: str
    architecture: Annotated[Json, Told("As the client sent it.")]
    hyperparams: Annotated[Json, Told("Complete: defaults are filled in.")]
    dataset: Annotated[str, Told("What it trains on.", name="dataset_type")]
    dataset_named: Annotated[bool, Told(shown=False, lasting=False)]  # else the server chose it, and may fall back
    queued: Annotated[bool, Told(shown=False, lasting=False)]  # asked for with "queue": true; survives a restart
    epochs_total: int
    name: Annotated[str, Told("As the client called it; else as its model, numbered.", lasting=False)] = ""
    tags: Annotated[list[str], Told("To find it by.", lasting=False)] = field(default_factory=list)
    notes: Annotated[str | None, Told("For people.", lasting=False, kept="facts")] = None
    epoch: Annotated[int, Told("The last finished epoch.", lasting=False)] = 0
    started_at: str | None = None
    completed_at: Annotated[str | None, Told(lasting=False)] = None
    test_accuracy: float | None = None
    test_loss: float | None = None
    error: Annotated[str | None, Told("Why it failed, and the cure.", lasting=False)] = None
    saved_model_path: Annotated[str | None, Told("Its weights, once they are on the disk.", lasting=False)] = None
    weights_sha256: Annotated[str | None, Told(lasting=False)] = None
    sample_predictions: Annotated[list[Json] | None, Told("Predictions for some test samples.", lasting=False)] = None
    warnings: list[str] = field(default_factory=list)
    device: Annotated[str | None, Told("The device, with everything about it that decides rounding.")] = None
    device_id: Annotated[str | None, Told("The name of the device here, such as `gpu:1`.", kept="facts")] = None
    device_kind: Annotated[str | None, Told("The model of the device.", kept="facts")] = None
    precision: str | None = None
    effective_precision: Annotated[
        str | None, Told("What products are made of on that device, as `Devices` explains.", kept="facts")
    ] = None
    parameters: Annotated[int | None, Told("How many numbers are trained.", kept="facts")] = None
    kernels: Annotated[str, Told("The `--kernels` that it is trained with.", kept="facts")] = "auto"
    compile_seconds: float | None = None
    versions: Annotated[Json | None, Told("Of the libraries that trained it.")] = None
    compilation: Annotated[
        Compilation | None, Told("Where its compiled programs came from, at its last start.", kept="facts")
    ] = None
    timing: Annotated[Timing | None, Told("How long its epochs and steps took.", kept="facts")] = None
    peak_memory: Annotated[PeakMemory | None, Told("The most memory in use while it ran.", kept="facts")] = None
    environment: Annotated[
        ServerEnvironment | None, Told("What it was computed with, at its last start.", kept="facts")
    ] = None
    dataset_sha256: Annotated[str | None, Told("SHA-256 of the arrays of the data set.", kept="facts")] = None
    request_sha256: Annotated[str | None, Told("SHA-256 of the body of the request.", kept="facts")] = None
    resumable: Annotated[bool, Told("Whether the run ended early and can be resumed.", lasting=False)] = False
    resumed_from: Annotated[str | None, Told("The finished run whose training this one continues.")] = None
    test_metrics: Annotated[
        Json | None,
        Told("Of the test: those that `hyperparams.metrics` asks for, null where one has no value.", kept="facts"),
    ] = None
    baseline_accuracy: Annotated[
        dict[str, float] | None,
        Told("Of always answering the most frequent class, on `validation` and `test`.", kept="facts"),
    ] = None
    worst: Annotated[
        list[Json] | None,
        Told(
            "With `hyperparams.metrics`: the mistakes of the test that the network is surest of.",
            lasting=False,
            kept="facts",
        ),
    ] = None
    best_epoch: Annotated[int | None, Told("The epoch of the weights, where the best one is kept.")] = None
    stopped_by: Annotated[
        StoppedBy | None, Told("What ended its training before the end of its last epoch.", kept="facts")
    ] = None
    target_reached: Annotated[
        TargetReached | None, Told("When it was first as good as its `target` asks for.", kept="facts")
    ] = None
    curve: Annotated[Json | None, Told(shown=False, lasting=False)] = None  # see backend/state/curve.py
    summary: Annotated[Json | None, Told(shown=False, lasting=False)] = None  # see backend/state/summary.py
    # The number of each resume among the ends and resumes of all runs, and the id of its event.
    resumes: Annotated[list[list[int]] | None, Told(shown=False, lasting=False, kept="facts")] = None
    # Whether it was "training" or "waiting" when the end of a server cut it off, from which nobody has resumed it yet.
    cut_off: Annotated[str | None, Told(shown=False, lasting=False, kept="facts")] = None
    # The epoch after which it was resumed by itself, not by a client.
    resumed_itself_after: Annotated[int | None, Told(shown=False, lasting=False, kept="facts")] = None
    cancel_asked: Annotated[bool, Told(shown=False, lasting=False, kept="facts")] = False  # and promised to a client
    metrics: Annotated[
        list[Json], Told("One per epoch; at most 200, among them the first, the last and the best.", kept="events")
    ] = field(default_factory=list)

    @property
    def metrics_total(self) -> int:
        """How many metrics there are, of which `metrics` may have some."""
        return int(self.curve["total"]) if self.curve else 0

    @property
    def seconds(self) -> float | None:
        """From its last start to its end, compilation included; None before."""
        if self.started_at is None or self.completed_at is None:
            return None
        try:
            return (datetime.fromisoformat(self.completed_at) - datetime.fromisoformat(self.started_at)).total_seconds()
        except (ValueError, TypeError):  # no server of ours has written these
            return None

    @property
    def best(self) -> Json | None:
        """`epoch`, `val_loss` and `val_accuracy` of the epoch with the lowest `val_loss`; None before the first."""
        return self.summary["best"] if self.summary else None


@dataclass(frozen=True)
class ModelRecord:
    """One model definition with what its runs have reached."""

    model_id: str
    name: str
    created_at: str
    updated_at: str
    description: str | None = None
    architecture: Json | None = None
    hyperparams: Json | None = None
    trained: bool = False
    saved_model_path: str | None = None
    saved_run_id: Annotated[str | None, Told("The run whose weights saved_model_path names.")] = None
    last_trained_at: str | None = None
    made_for_run: Annotated[
        bool, Told("Made for a run by POST /api/train, and never named, changed or promoted since.")
    ] = False
    runs_total: int = 0
    highest_accuracy: Annotated[float | None, Told("The best test_accuracy of its succeeded runs.")] = None
    latest_run: Annotated[
        Json | None, Told("run_id, completed_at, test_accuracy and saved_model_path of the last run that succeeded.")
    ] = None


@dataclass(frozen=True)
class BenchmarkRecord:
    """Networks measured side by side. Times are ISO 8601 in UTC. What was measured is read apart: it may be long."""

    benchmark_id: str
    state: Annotated[
        BenchmarkState, Told("`interrupted`: the end of the server cut it off; what was measured until then is kept.")
    ]
    created_at: str
    name: str
    request: Annotated[Json, Told("What is measured, complete: defaults are filled in.")]
    cells_total: Annotated[int, Told("Combinations of body, device, precision and batch size.")]
    cells_measured: Annotated[int, Told("Those of them of which something has been measured.")] = 0
    started_at: str | None = None
    completed_at: str | None = None
    error: Annotated[str | None, Told("Why it failed or was interrupted, and the cure.")] = None
    warnings: list[str] = field(default_factory=list)
    device: Annotated[str | None, Told("The device that the server itself uses, in words.")] = None
    versions: Annotated[Json | None, Told("Of the libraries that measured it.")] = None
    results_sha256: Annotated[str | None, Told("SHA-256 of the results, once it has ended.")] = None
    cancel_asked: Annotated[bool, Told(shown=False, kept="facts")] = False  # and promised to a client


Record = RunRecord | ModelRecord | BenchmarkRecord


@cache
def told(record: type[Record]) -> Mapping[str, Told]:
    """How each field of a record is kept and told."""
    found = get_type_hints(record, include_extras=True)
    marks = {name: getattr(hint, "__metadata__", (Told(),))[0] for name, hint in found.items()}
    return {each.name: marks[each.name] for each in fields(record)}


def kinds(record: type[Record]) -> Mapping[str, type]:
    """What each field of a record is, where it is not None: str, bool, int, float, list or dict."""
    return {name: _kind(hint) for name, hint in get_type_hints(record).items()}


def _kind(hint: Any) -> type:
    one = next(part for part in (get_args(hint) if get_origin(hint) is UnionType else (hint,)) if part is not NoneType)
    kind: type = str if get_origin(one) is Literal else dict if is_typeddict(one) else get_origin(one) or one
    return kind


class StoredEvent(msgspec.Struct, frozen=True, dict=True):
    """One event of a run's history. `id` counts up from 1 within the run."""

    id: int
    name: str  # "state" | "metric" | "step" | "log", or UNREADABLE
    text: str  # its data, as JSON

    @cached_property
    def data(self) -> Json:
        """For who does not only pass it on."""
        read: Json = msgspec.json.decode(self.text)
        return read


@dataclass(frozen=True)
class Standing:
    """How runs stand that have not ended. `places`: in the queue, 1 is next. `cancelling`: the one told to end."""

    places: Mapping[str, int]
    cancelling: str | None = None


@dataclass(frozen=True)
class Claim:
    """What the record of a run says about its files."""

    run_id: str
    state: RunState
    epoch: int
    resumable: bool
    saved_model_path: str | None
    weights_sha256: str | None
