"""Records as clients read them."""

from __future__ import annotations

from backend.checkpoints import Checkpoints
from backend.records import Json, ModelRecord, RunRecord


def model_summary(model: ModelRecord, checkpoints: Checkpoints) -> Json:
    """A model as in `GET /api/models`."""
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


def run_view(run: RunRecord, queue_position: int | None = None) -> Json:
    """A run as in `GET /api/runs/<id>`; its place in the queue only while it has one."""
    view: Json = {
        "run_id": run.run_id,
        "model_id": run.model_id,
        "state": run.state,
        "created_at": run.created_at,
        "started_at": run.started_at,
        "completed_at": run.completed_at,
        "epochs_total": run.epochs_total,
        "epoch": run.epoch,
        "metrics": run.metrics,
        "test_accuracy": run.test_accuracy,
        "test_loss": run.test_loss,
        "error": run.error,
        "resumable": run.resumable,
        "resumed_from": run.resumed_from,
        "best_epoch": run.best_epoch,
        "saved_model_path": run.saved_model_path,
        "weights_sha256": run.weights_sha256,
        "sample_predictions": run.sample_predictions,
        "dataset_type": run.dataset,
        "warnings": run.warnings,
        "device": run.device,
        "precision": run.precision,
        "compile_seconds": run.compile_seconds,
        "versions": run.versions,
        "events_url": events_url(run.run_id),
        "hyperparams": run.hyperparams,
        "architecture": run.architecture,
    }
    return view if queue_position is None else {**view, "queue_position": queue_position}


def accepted(run: RunRecord, name: str, queue_position: int | None) -> Json:
    """The 202 of `POST /api/train`. The run may have started by now: this is what was accepted."""
    view: Json = {
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
        "warnings": run.warnings,
    }
    if run.resumed_from is not None:
        view |= {"resumed_from": run.resumed_from, "epoch": run.epoch}
    return view if queue_position is None else {**view, "queue_position": queue_position}


def resumed(run: RunRecord, name: str, queue_position: int | None) -> Json:
    """The 202 of `POST /api/runs/<id>/resume`. `epoch`: the last one done, after which the run goes on."""
    return {
        **accepted(run, name, queue_position),
        "state": "queued",
        "epoch": run.epoch,
        "metrics": run.metrics,
    }


def promoted(model: ModelRecord, run: RunRecord) -> Json:
    """The answer of both saves that promote a run."""
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
