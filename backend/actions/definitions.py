"""Model definitions: created, changed, promoted from a run."""

from __future__ import annotations

import sqlite3
from functools import partial
from typing import TYPE_CHECKING, Any

from backend.actions.infer import load_network
from backend.actions.launch import recipe_of
from backend.actions.retrain import merged_in
from backend.errors import ApiError, not_found
from backend.parsing.ids import MODEL_ID_RULE, is_model_id, model_name, new_model_id
from backend.parsing.requests import Fields
from backend.state.errors import UnknownRecord
from backend.state.records import Json, ModelRecord, RunRecord
from backend.state.store import utc_now
from nets.architecture.read import Architecture, parse_architecture
from nets.errors import SpecError
from nets.hyperparams.hyperparams import parse_hyperparams
from nets.spec.fields import shown

if TYPE_CHECKING:
    from backend.services import Services

DEFINE_FIELDS = ("model_id", "name", "description", "architecture", "hyperparams", "trained", "saved_model_path")
SAVE_FIELDS = ("run_id", "model_id", "name", "description", "architecture", "hyperparams")
PROMOTE_FIELDS = ("run_id", "model_id", "name", "description")


def define(services: Services, body: Json) -> tuple[ModelRecord, bool]:
    """Create a model, or change the fields that came: (the model, whether it is new). null empties a field."""
    fields = Fields(body, DEFINE_FIELDS)
    model_id = fields.model_id()
    changes = _changes(services, fields, model_id)
    return _warmed(services, *_put(services, model_id or new_model_id(), changes))


def change(services: Services, model_id: str, body: Json) -> ModelRecord:
    """Change the fields that came, down to single hyperparameters, of a model that exists; ApiError 404."""
    model = services.store.get_model(model_id)
    fields = Fields(merged_in(model, body) if model else body, DEFINE_FIELDS)
    _require_same(fields, model_id)
    changes = _changes(services, fields, model_id)
    if model is None:
        raise not_found("model", model_id, listing="/api/models")
    if not changes:
        return model
    return _warmed(services, services.store.update_model(model_id, **changes), False)[0]


def remarks(model: ModelRecord, *, new: bool) -> list[str]:
    """What the sender of a definition may not have meant."""
    said = []
    if new and model.architecture is None:
        cure = f"PATCH /api/models/{model.model_id} changes one that exists"
        said.append(
            f"architecture: model {model.model_id} was created without one, so it cannot be trained yet; {cure}"
        )
    if model.trained and model.saved_run_id is None:
        cure = f"POST /api/models/{model.model_id}/save with a run_id gives it those of a run"
        said.append(f"trained: model {model.model_id} is marked as trained but has no weights of its own; {cure}")
    return said


def save_definition(services: Services, model_id: str, body: Json) -> ModelRecord:
    """Store an untrained definition under `model_id`: the first workflow of the save endpoint."""
    fields = Fields(body, SAVE_FIELDS)
    if not is_model_id(model_id):
        fields.add("model_id", f"{MODEL_ID_RULE}, got {shown(model_id)} in the path")
    else:
        _require_same(fields, model_id)
    if not fields.has("architecture"):
        fields.add("architecture", "is required to store a definition; or send run_id to promote a run")
    changes = _definition(services, fields)
    fields.done()
    changes |= {"trained": False, "saved_model_path": None, "saved_run_id": None}
    return _warmed(services, *_put(services, model_id, changes))[0]


def promote(services: Services, body: Json, model_id: str | None = None) -> tuple[ModelRecord, RunRecord]:
    """Make a succeeded run's weights those of its model: the second workflow. `model_id`: the path's, if it has one.

    CheckpointError where the weights are damaged.
    """
    fields = Fields(body, PROMOTE_FIELDS)
    run_id, name, description, stated = fields.run_id(), fields.name(), fields.description(), fields.model_id()
    if not fields.has("run_id"):
        fields.add("run_id", "is required: the succeeded run to keep")
    if model_id is not None:
        _require_same(fields, model_id)
    fields.done()
    assert run_id is not None

    wanted = model_id or stated
    if wanted is not None and services.store.get_model(wanted) is None:
        raise not_found("model", wanted, listing="/api/models")
    run = services.store.get_run(run_id, metrics=False)
    if run is None:
        raise not_found("run", run_id, listing="/api/runs")
    if wanted not in (None, run.model_id):
        raise ApiError(409, f"Run {run_id} is a run of model {run.model_id}, not of {wanted}")
    load_network(services, run)  # what cannot be asked is not promoted
    changes: dict[str, Any] = {"trained": True, "saved_model_path": run.saved_model_path, "saved_run_id": run_id}
    changes |= {key: value for key, value in (("name", name), ("description", description)) if value is not None}
    model = services.store.get_model(run.model_id)
    if model is None:
        raise UnknownRecord(run.model_id)
    return services.store.update_model(run.model_id, **changes, **_trained_definition(model, run)), run


def _require_same(fields: Fields, model_id: str) -> None:
    """The body may repeat the id of the path, and name no other."""
    stated = fields.body.get("model_id")
    if stated not in (None, model_id):
        fields.add("model_id", f"must be the {shown(model_id)} of the path or left out, got {shown(stated)}")


def _changes(services: Services, fields: Fields, model_id: str | None) -> dict[str, Any]:
    """All that a request wants of a model. SpecError with every problem of it."""
    changes = _definition(services, fields)
    trained = fields.flag("trained")
    if trained is not None:
        changes["trained"] = trained
    if "saved_model_path" in fields.body:
        changes |= _saved_path(services, fields, model_id)
    fields.done()
    return changes


def _definition(services: Services, fields: Fields) -> dict[str, Any]:
    """The changes that name, description, architecture and hyperparams ask for, each kept as it was sent."""
    changes: dict[str, Any] = {}
    architecture = None
    if fields.has("architecture"):
        parser = partial(parse_architecture, most_layers=services.settings.max_layers)
        architecture = fields.parsed("architecture", parser)
    if fields.has("hyperparams"):
        fields.parsed("hyperparams", parse_hyperparams)
    changes |= {name: fields.body[name] for name in ("architecture", "hyperparams") if name in fields.body}
    if "description" in fields.body:
        fields.description()
        changes["description"] = fields.body["description"]
    if "name" in fields.body:
        changes["name"] = fields.name() or _generated(architecture)
    return changes


def _generated(architecture: Architecture | None) -> str:
    return model_name(architecture.summary_name() if architecture else None)


def _saved_path(services: Services, fields: Fields, model_id: str | None) -> dict[str, Any]:
    """The changes for `saved_model_path`: null, or the weights of a recorded run of this model."""
    path = fields.text("saved_model_path", most=400)
    if path is None:
        return {"saved_model_path": None, "saved_run_id": None}
    rule = "must be null or the saved_model_path of a succeeded run of this model"
    try:
        run_id = services.checkpoints.resolve(path).parent.name
    except (ValueError, OSError):
        run_id = ""
    run = services.store.get_run(run_id, metrics=False) if run_id else None
    if run is None or run.model_id != model_id or not services.checkpoints.weights(run_id).is_file():
        fields.add("saved_model_path", f"{rule}, got {shown(path)}; GET /api/models/<id> lists its runs")
        return {}
    return {"saved_model_path": run.saved_model_path, "saved_run_id": run_id}


def _put(services: Services, model_id: str, changes: dict[str, Any]) -> tuple[ModelRecord, bool]:
    """Change a model, or create it with these fields; (the model, whether it is new)."""
    if services.store.get_model(model_id) is not None:
        try:
            return services.store.update_model(model_id, **changes), False
        except UnknownRecord:
            pass  # deleted in between: create it
    if "name" not in changes:
        architecture = changes.get("architecture")
        changes = {**changes, "name": _generated(parse_architecture(architecture) if architecture else None)}
    now = utc_now()
    model = ModelRecord(model_id=model_id, created_at=now, updated_at=now, **changes)
    try:
        services.store.create_model(model)
    except sqlite3.IntegrityError:
        raise ApiError(409, f"Model {model_id} was created by another request meanwhile; send this one again") from None
    return model, True


def _warmed(services: Services, model: ModelRecord, new: bool) -> tuple[ModelRecord, bool]:
    """The same, its programs to be compiled ahead."""
    if model.architecture is not None:
        services.warmer.warm(lambda: recipe_of(services, model))
    return model, new


def _trained_definition(model: ModelRecord, run: RunRecord) -> dict[str, Any]:
    """What a promotion changes in a definition that is no longer the one the run was trained by."""
    changes: dict[str, Any] = {}
    if model.architecture != run.architecture:
        changes["architecture"] = run.architecture
    if _complete(model.hyperparams) != run.hyperparams:
        changes["hyperparams"] = run.hyperparams
    return changes


def _complete(hyperparams: Json | None) -> Json | None:
    """Every field filled in; None for a definition that this version no longer reads."""
    try:
        return parse_hyperparams(hyperparams).to_json()
    except SpecError:
        return None
