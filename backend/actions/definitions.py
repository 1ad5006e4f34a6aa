"""Model definitions: created and changed."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any

from backend.actions.model_names import model_name
from backend.actions.retrain import merged_in
from backend.errors import ApiError, not_found
from backend.parsing.ids import MODEL_ID_RULE, is_model_id, new_model_id
from backend.parsing.requests import Fields
from backend.state.checkpoints import Checkpoints
from backend.state.errors import UnknownRecord
from backend.state.records import Json, ModelRecord
from backend.state.store import Store, utc_now
from backend.training.compile_ahead import CompileAhead
from backend.training.limits import Limits
from nets.architecture.read import Architecture, parse_architecture
from nets.hyperparams.hyperparams import parse_hyperparams
from nets.spec.fields import shown

DEFINE_FIELDS = ("model_id", "name", "description", "architecture", "hyperparams", "trained", "saved_model_path")
SAVE_FIELDS = ("run_id", "model_id", "name", "description", "architecture", "hyperparams")


@dataclass(frozen=True)
class Definitions:
    """Keeps what clients define, and has it compiled ahead."""

    store: Store
    checkpoints: Checkpoints
    limits: Limits
    compile_ahead: CompileAhead

    def define(self, body: Json) -> tuple[ModelRecord, bool]:
        """Create a model, or change the fields that came: (the model, whether it is new). null empties a field."""
        fields = Fields(body, DEFINE_FIELDS)
        model_id = fields.model_id()
        changes = self._changes(fields, model_id)
        return self._put(model_id or new_model_id(), changes)

    def change(self, model_id: str, body: Json) -> ModelRecord:
        """Change the fields that came, down to single hyperparameters, of a model that exists; ApiError 404."""
        model = self.store.get_model(model_id)
        fields = Fields(merged_in(model, body) if model else body, DEFINE_FIELDS)
        require_same(fields, model_id)
        changes = self._changes(fields, model_id)
        if model is None:
            raise not_found("model", model_id, listing="/api/models")
        if not changes:
            return model
        return self._ahead(self.store.update_model(model_id, **changes))

    def save(self, model_id: str, body: Json) -> ModelRecord:
        """Store an untrained definition under `model_id`: the first workflow of the save endpoint."""
        fields = Fields(body, SAVE_FIELDS)
        if not is_model_id(model_id):
            fields.add("model_id", f"{MODEL_ID_RULE}, got {shown(model_id)} in the path")
        else:
            require_same(fields, model_id)
        if not fields.has("architecture"):
            fields.add("architecture", "is required to store a definition; or send run_id to promote a run")
        changes = self._definition(fields)
        fields.done()
        changes |= {"trained": False, "saved_model_path": None, "saved_run_id": None}
        return self._put(model_id, changes)[0]

    def _changes(self, fields: Fields, model_id: str | None) -> dict[str, Any]:
        """All that a request wants of a model. SpecError with every problem of it."""
        changes = self._definition(fields)
        trained = fields.flag("trained")
        if trained is not None:
            changes["trained"] = trained
        if "saved_model_path" in fields.body:
            changes |= self._saved_path(fields, model_id)
        fields.done()
        return changes

    def _definition(self, fields: Fields) -> dict[str, Any]:
        """The changes that name, description, architecture and hyperparams ask for, each kept as it was sent."""
        changes: dict[str, Any] = {}
        architecture = None
        if fields.has("architecture"):
            architecture = fields.parsed("architecture", self.limits.architecture)
        if fields.has("hyperparams"):
            fields.parsed("hyperparams", parse_hyperparams)
        changes |= {name: fields.body[name] for name in ("architecture", "hyperparams") if name in fields.body}
        if "description" in fields.body:
            fields.description()
            changes["description"] = fields.body["description"]
        if "name" in fields.body:
            changes["name"] = fields.name() or _generated(architecture)
        return changes

    def _saved_path(self, fields: Fields, model_id: str | None) -> dict[str, Any]:
        """The changes for `saved_model_path`: null, or the weights of a recorded run of this model."""
        path = fields.text("saved_model_path", most=400)
        if path is None:
            return {"saved_model_path": None, "saved_run_id": None}
        rule = "must be null or the saved_model_path of a succeeded run of this model"
        try:
            run_id = self.checkpoints.resolve(path).parent.name
        except (ValueError, OSError):
            run_id = ""
        run = self.store.get_run(run_id, metrics=False) if run_id else None
        if run is None or run.model_id != model_id or not self.checkpoints.weights(run_id).is_file():
            fields.add("saved_model_path", f"{rule}, got {shown(path)}; GET /api/models/<id> lists its runs")
            return {}
        return {"saved_model_path": run.saved_model_path, "saved_run_id": run_id}

    def _put(self, model_id: str, changes: dict[str, Any]) -> tuple[ModelRecord, bool]:
        """Change a model, or create it with these fields; (the model, whether it is new)."""
        if self.store.get_model(model_id) is not None:
            try:
                return self._ahead(self.store.update_model(model_id, **changes)), False
            except UnknownRecord:
                pass  # deleted in between: create it
        if "name" not in changes:
            architecture = changes.get("architecture")
            changes = {**changes, "name": _generated(parse_architecture(architecture) if architecture else None)}
        now = utc_now()
        model = ModelRecord(model_id=model_id, created_at=now, updated_at=now, **changes)
        try:
            self.store.create_model(model)
        except sqlite3.IntegrityError:
            raise ApiError(
                409, f"Model {model_id} was created by another request meanwhile; send this one again"
            ) from None
        return self._ahead(model), True

    def _ahead(self, model: ModelRecord) -> ModelRecord:
        """The same, its programs to be compiled ahead."""
        self.compile_ahead.definition(model)
        return model


def remarks(model: ModelRecord, *, new: bool) -> list[str]:
    """What the sender of a definition may not have meant."""
    said = []
    if new and model.architecture is None:
        cure = f"PATCH /api/models/{model.model_id} changes one that exists"
        said.append(
            f"architecture: model {model.model_id} was created without one, so it cannot be trained yet; {cure}"
        )
    if model.trained and model.saved_run_id is None:
        cure = f"POST /api/models/{model.model_id}/save with a run_id promotes a run"
        said.append(f"trained: model {model.model_id} is marked as trained but has no weights of its own; {cure}")
    return said


def require_same(fields: Fields, model_id: str) -> None:
    """The body may repeat the id of the path, and name no other."""
    stated = fields.body.get("model_id")
    if stated not in (None, model_id):
        fields.add("model_id", f"must be the {shown(model_id)} of the path or left out, got {shown(stated)}")


def _generated(architecture: Architecture | None) -> str:
    return model_name(architecture.summary_name() if architecture else None)
