"""Records as clients read them: all of a record that is told, and what is known beside it.

The views are types for the OpenAPI document; the functions below them make their values from the same records.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Literal, NotRequired, get_args, get_type_hints

from typing_extensions import TypedDict

from backend.state.checkpoints import Checkpoints
from backend.state.records import (
    ACTIVE,
    DETAILS,
    Detail,
    Json,
    ModelRecord,
    Record,
    RunRecord,
    Standing,
    told,
)
from nets.doubts.doubt import DoubtJson
from nets.schedules.rates import Rates

View = Any  # a TypedDict made from a record: no type checker follows it, so tests hold answers against the document
ACCEPTED = (  # of a run
    *("run_id", "model_id", "name", "tags", "created_at", "epochs_total", "dataset", "hyperparams", "warnings"),
)
PROMOTED = ("model_id", "name", "trained", "saved_model_path", "architecture", "hyperparams")  # of a model


NAMES: Mapping[type[Record], Mapping[str, str]] = {  # by record and field: what clients know it by
    record: {field: how.name or field for field, how in told(record).items() if how.shown}
    for record in get_args(Record)
}


def fields_of(record: type[Record], only: Collection[str] | None = None) -> Json:
    """The types of the fields that are told."""
    hints = get_type_hints(record, include_extras=True)
    return {name: hints[field] for field, name in NAMES[record].items() if only is None or field in only}


def shown(record: Record, only: Collection[str] | None = None) -> Json:
    """The values of the fields that are told."""
    names = NAMES[type(record)]
    return {name: getattr(record, field) for field, name in names.items() if only is None or field in only}


def view(name: str, about: str, *fields: Json) -> View:
    """A type with these fields. `about`: for the OpenAPI document."""
    make: Any = TypedDict
    made = make(name, {field: hint for some in fields for field, hint in some.items()})
    made.__doc__ = about
    return made


class Best(TypedDict):
    """The epoch with the lowest `val_loss`, the first of equally good ones: the one whose weights `keep_best` keeps."""

    epoch: int
    val_loss: float
    val_accuracy: float


BRIEF = frozenset(NAMES[RunRecord]) - frozenset(DETAILS)
MODEL = {**fields_of(ModelRecord), "saved_model_exists": bool, "size_bytes": int}  # the size of its runs
RUN = {
    **fields_of(RunRecord, BRIEF),
    "best": Best | None,
    "seconds": float | None,  # from its last start to its end
    "size_bytes": int,  # of its weights, training state and description on the disk
    "metrics_total": int,
    "events_url": str,
    "cancelling": bool,  # it was cancelled, and has not ended yet
    "queue_position": NotRequired[int],  # only while it has one
}
LONG = fields_of(RunRecord, DETAILS)

Model = view("Model", "A model as in `GET /api/models`.", MODEL)
Defined = view("Defined", "A model that was just created or changed.", MODEL, {"warnings": list[str]})
Run = view(
    "Run",
    "A run as in `GET /api/runs/<id>`. `metrics`: at most 200, among them the first, the last and the best.",
    RUN,
    LONG,
)
ListedRun = view(
    "ListedRun",
    "A run as in `GET /api/runs`: long fields are there if `include` names them.",
    RUN,
    {name: NotRequired[hint] for name, hint in LONG.items()},
)
ModelWithRuns = view(
    "ModelWithRuns",
    "A model as in `GET /api/models/<id>`. `next`: what to send as `before` for older runs, or null.",
    MODEL,
    {"runs": list[Run], "next": int | None, "warnings": list[str]},  # type: ignore[valid-type]
)
Accepted = view(
    "Accepted",
    "The 202 of `POST /api/train`, and of a resumed run. `status` is an earlier name of `state`.",
    fields_of(RunRecord, (*ACCEPTED, "metrics", "test_accuracy")),
    {
        "model_name": str,
        "events_url": str,
        "state": Literal["queued"],
        "status": Literal["queued"],
        "doubts": NotRequired[list[DoubtJson]],  # of POST /api/train; `warnings` has each as a sentence
        "learning_rate": NotRequired[Rates],  # of POST /api/train
        "augmented": NotRequired[Literal["training"]],  # with `augment`: what sees augmented images, alone
        "resumed_from": NotRequired[str],
        "epoch": NotRequired[int],
        "queue_position": NotRequired[int],
    },
)
Promoted = view(
    "Promoted",
    "The answer to a promotion.",
    fields_of(ModelRecord, PROMOTED),
    {"run_id": str, "saved_path": str | None, "test_accuracy": float | None},
)


def model_summary(model: ModelRecord, checkpoints: Checkpoints, size_bytes: int) -> Json:
    """A model without its runs. size_bytes: of their files."""
    saved = model.saved_run_id
    exists = saved is not None and checkpoints.weights(saved).is_file()
    return {**shown(model), "saved_model_exists": exists, "size_bytes": size_bytes}


def run_in_brief(run: RunRecord, standing: Standing, size_bytes: int) -> Json:
    """A run without what makes it long. size_bytes: of its files."""
    brief = {
        **shown(run, BRIEF),
        "best": run.best,
        "seconds": run.seconds,
        "size_bytes": size_bytes,
        "metrics_total": run.metrics_total,
        "events_url": events_url(run.run_id),
        "cancelling": run.state in ACTIVE and standing.cancelling == run.run_id,
    }
    place = standing.places.get(run.run_id) if run.state == "queued" else None
    return brief if place is None else {**brief, "queue_position": place}


def run_view(run: RunRecord, standing: Standing, size_bytes: int) -> Json:
    """A run with its metrics."""
    return {**run_in_brief(run, standing, size_bytes), **shown(run, DETAILS)}


def listed_run(run: RunRecord, standing: Standing, include: Collection[Detail], size_bytes: int) -> Json:
    """A run with those details that were asked for."""
    return {**run_in_brief(run, standing, size_bytes), **shown(run, include)}


def accepted(run: RunRecord, name: str, queue_position: int | None) -> Json:
    """A run that waits or starts. It may have started by now: this is what was accepted."""
    answer = {
        **shown(run, ACCEPTED),
        "model_name": name,
        "events_url": events_url(run.run_id),
        "state": "queued",
        "status": "queued",
        "metrics": [],
        "test_accuracy": None,
    }
    if run.resumed_from is not None:
        answer |= {"resumed_from": run.resumed_from, "epoch": run.epoch}
    return answer if queue_position is None else {**answer, "queue_position": queue_position}


def resumed(run: RunRecord, name: str, queue_position: int | None) -> Json:
    """A run that goes on. `epoch`: the last one done, after which it does."""
    return {**accepted(run, name, queue_position), "epoch": run.epoch, "metrics": run.metrics}


def promoted(model: ModelRecord, run: RunRecord) -> Json:
    """A model with the run that it was promoted from."""
    return {
        **shown(model, PROMOTED),
        "run_id": run.run_id,
        "saved_path": model.saved_model_path,
        "test_accuracy": run.test_accuracy,
    }


def events_url(run_id: str) -> str:
    """Relative, so that it holds behind any proxy."""
    return f"/api/runs/{run_id}/events"
