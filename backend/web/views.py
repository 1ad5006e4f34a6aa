"""Records as clients read them. The types are what `GET /api/openapi.json` says of the answers."""

from __future__ import annotations

from collections.abc import Collection
from typing import NotRequired, cast

from typing_extensions import TypedDict

from backend.state.checkpoints import Checkpoints
from backend.state.records import ACTIVE, Detail, Json, ModelRecord, RunRecord, RunState, Standing


class Model(TypedDict):
    """A model as in `GET /api/models`."""

    model_id: str
    name: str
    description: str | None
    architecture: Json | None
    hyperparams: Json | None
    trained: bool
    saved_model_path: str | None
    saved_model_exists: bool
    saved_run_id: str | None
    last_trained_at: str | None
    created_at: str
    updated_at: str
    highest_accuracy: float | None
    runs_total: int
    latest_run: Json | None


class Defined(Model):
    """A model that was just created or changed."""

    warnings: list[str]


class RunInBrief(TypedDict):
    """A run without what makes it long; its place in the queue only while it has one.

    `cancelling`: it was cancelled, and has not ended yet.
    """

    run_id: str
    model_id: str
    state: RunState
    created_at: str
    started_at: str | None
    completed_at: str | None
    epochs_total: int
    epoch: int
    metrics_total: int
    test_accuracy: float | None
    test_loss: float | None
    error: str | None
    resumable: bool
    resumed_from: str | None
    best_epoch: int | None
    saved_model_path: str | None
    weights_sha256: str | None
    dataset_type: str
    warnings: list[str]
    device: str | None
    precision: str | None
    compile_seconds: float | None
    versions: Json | None
    events_url: str
    hyperparams: Json
    cancelling: bool
    queue_position: NotRequired[int]


class Run(RunInBrief):
    """A run as in `GET /api/runs/<id>`. `metrics`: at most 200, among them the first, the last and the best."""

    metrics: list[Json]
    sample_predictions: list[Json] | None
    architecture: Json


class ListedRun(RunInBrief):
    """A run as in `GET /api/runs`: long fields are there if `include` names them."""

    metrics: NotRequired[list[Json]]
    sample_predictions: NotRequired[list[Json] | None]
    architecture: NotRequired[Json]


class ModelWithRuns(Model):
    """A model as in `GET /api/models/<id>`. `next`: what to send as `before` for older runs, or null."""

    runs: list[Run]
    next: int | None
    warnings: list[str]


class Accepted(TypedDict):
    """The 202 of `POST /api/train`, and of a resumed run, which also has a `state`."""

    run_id: str
    model_id: str
    name: str
    events_url: str
    status: str
    created_at: str
    epochs_total: int
    metrics: list[Json]
    test_accuracy: float | None
    dataset_type: str
    hyperparams: Json
    warnings: list[str]
    resumed_from: NotRequired[str]
    epoch: NotRequired[int]
    state: NotRequired[RunState]
    queue_position: NotRequired[int]


class Promoted(TypedDict):
    """The answer to a promotion."""

    model_id: str
    run_id: str
    name: str
    trained: bool
    saved_model_path: str | None
    saved_path: str | None
    test_accuracy: float | None
    architecture: Json | None
    hyperparams: Json | None


def model_summary(model: ModelRecord, checkpoints: Checkpoints) -> Model:
    """A model without its runs."""
    saved = model.saved_run_id
    return {
        "model_id": model.model_id,
        "name": model.name,
        "description": model.description,
        "architecture": model.architecture,
        "hyperparams": model.hyperparams,
        "trained": model.trained,
        "saved_model_path": model.saved_model_path,
        "saved_model_exists": saved is not None and checkpoints.weights(saved).is_file(),
        "saved_run_id": saved,
        "last_trained_at": model.last_trained_at,
        "created_at": model.created_at,
        "updated_at": model.updated_at,
        "highest_accuracy": model.highest_accuracy,
        "runs_total": model.runs_total,
        "latest_run": model.latest_run,
    }


def run_in_brief(run: RunRecord, standing: Standing) -> RunInBrief:
    """A run without what makes it long."""
    view: RunInBrief = {
        "run_id": run.run_id,
        "model_id": run.model_id,
        "state": run.state,
        "created_at": run.created_at,
        "started_at": run.started_at,
        "completed_at": run.completed_at,
        "epochs_total": run.epochs_total,
        "epoch": run.epoch,
        "metrics_total": run.metrics_total,
        "test_accuracy": run.test_accuracy,
        "test_loss": run.test_loss,
        "error": run.error,
        "resumable": run.resumable,
        "resumed_from": run.resumed_from,
        "best_epoch": run.best_epoch,
        "saved_model_path": run.saved_model_path,
        "weights_sha256": run.weights_sha256,
        "dataset_type": run.dataset,
        "warnings": run.warnings,
        "device": run.device,
        "precision": run.precision,
        "compile_seconds": run.compile_seconds,
        "versions": run.versions,
        "events_url": events_url(run.run_id),
        "hyperparams": run.hyperparams,
        "cancelling": run.state in ACTIVE and standing.cancelling == run.run_id,
    }
    place = standing.places.get(run.run_id) if run.state == "queued" else None
    return view if place is None else {**view, "queue_position": place}


def run_view(run: RunRecord, standing: Standing) -> Run:
    """A run with its metrics."""
    return {
        **run_in_brief(run, standing),
        "metrics": run.metrics,
        "sample_predictions": run.sample_predictions,
        "architecture": run.architecture,
    }


def listed_run(run: RunRecord, standing: Standing, include: Collection[Detail]) -> ListedRun:
    """A run with those details that were asked for."""
    return cast(ListedRun, {**run_in_brief(run, standing), **{name: getattr(run, name) for name in include}})


def accepted(run: RunRecord, name: str, queue_position: int | None) -> Accepted:
    """A run that waits or starts. It may have started by now: this is what was accepted."""
    view: Accepted = {
        "run_id": run.run_id,
        "model_id": run.model_id,
        "name": name,
        "events_url": events_url(run.run_id),
        "status": "queued",
        "created_at": run.created_at,
        "epochs_total": run.epochs_total,
        "metrics": [],
        "test_accuracy": None,
        "dataset_type": run.dataset,
        "hyperparams": run.hyperparams,
        "warnings": run.warnings,
    }
    if run.resumed_from is not None:
        view |= {"resumed_from": run.resumed_from, "epoch": run.epoch}
    return view if queue_position is None else {**view, "queue_position": queue_position}


def resumed(run: RunRecord, name: str, queue_position: int | None) -> Accepted:
    """A run that goes on. `epoch`: the last one done, after which it does."""
    return {
        **accepted(run, name, queue_position),
        "state": "queued",
        "epoch": run.epoch,
        "metrics": run.metrics,
    }


def promoted(model: ModelRecord, run: RunRecord) -> Promoted:
    """A model with the run that it was promoted from."""
    return {
        "model_id": model.model_id,
        "run_id": run.run_id,
        "name": model.name,
        "trained": model.trained,
        "saved_model_path": model.saved_model_path,
        "saved_path": model.saved_model_path,
        "test_accuracy": run.test_accuracy,
        "architecture": model.architecture,
        "hyperparams": model.hyperparams,
    }


def events_url(run_id: str) -> str:
    """Relative, so that it holds behind any proxy."""
    return f"/api/runs/{run_id}/events"
