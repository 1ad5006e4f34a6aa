"""Model definitions: created and changed."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from backend.actions.model_names import model_name
from backend.actions.retrain import merged_in
from backend.errors import ApiError, not_found
from backend.parsing.ids import MODEL_ID_RULE, is_model_id, new_model_id
from backend.parsing.parts import MODEL_ID_SCHEMA
from backend.parsing.requests import DefineBody, Definition, SaveBody, check
from backend.state.checkpoints import Checkpoints
from backend.state.errors import UnknownRecord
from backend.state.records import Json, ModelRecord, RunRecord, utc_now
from backend.state.store import Store
from backend.training.compile_ahead import CompileAhead
from backend.training.limits import Limits
from nets.architecture.read import parse_architecture
from nets.errors import Problem, set_to
from nets.spec.fields import shown


@dataclass(frozen=True)
class Definitions:
    """Keeps what clients define, and has it compiled ahead."""

    store: Store
    checkpoints: Checkpoints
    limits: Limits
    compile_ahead: CompileAhead

    def define(self, body: Json) -> tuple[ModelRecord, bool]:
        """Create a model, or change the fields that came: (the model, whether it is new). null empties a field."""
        request, changes = self._checked(body, body.get("model_id"))
        return self._put(request.model_id or new_model_id(), changes)

    def change(self, model_id: str, body: Json) -> ModelRecord:
        """Change the fields that came, down to single hyperparameters, of a model that exists; ApiError 404."""
        model = self.store.get_model(model_id)
        further = differs(body, model_id)
        _, changes = self._checked(merged_in(model, body) if model else body, model_id, further)
        if model is None:
            raise not_found("model", model_id, listing="/api/models")
        if not changes:
            return model
        return self._ahead(self._update(model_id, changes))

    def save(self, model_id: str, body: Json) -> ModelRecord:
        """Store an untrained definition under `model_id`: the first workflow of the save endpoint."""
        further = differs(body, model_id)
        if not is_model_id(model_id):
            rule = f"{MODEL_ID_RULE}, got {shown(model_id)} in the path"
            further = [Problem(("model_id",), rule, "malformed", expected=MODEL_ID_SCHEMA, got=model_id)]
        request = check(SaveBody, body, most_layers=self.limits.layers, further=further)
        changes = _definition(request) | {"trained": False, "saved_model_path": None, "saved_run_id": None}
        return self._put(model_id, changes)[0]

    def _checked(
        self, body: Json, model_id: object, further: Sequence[Problem] = ()
    ) -> tuple[DefineBody, dict[str, Any]]:
        """The body, and all that it wants changed of a model. SpecError with every problem of it."""
        path = body.get("saved_model_path")
        run = self._owner(path, model_id)
        if isinstance(path, str) and run is None:
            rule = "must be null or the saved_model_path of a succeeded run of this model"
            detail = f"{rule}, got {shown(path)}; GET /api/models/<id> lists its runs"
            expected = {"type": ["string", "null"]}
            further = [*further, Problem(("saved_model_path",), detail, "mismatch", expected=expected)]
        request = check(DefineBody, body, most_layers=self.limits.layers, further=further)
        changes = _definition(request)
        if request.trained is not None:
            changes["trained"] = request.trained
        if "saved_model_path" in request.model_fields_set:
            weights = (run.saved_model_path, run.run_id) if run else (None, None)
            changes["saved_model_path"], changes["saved_run_id"] = weights
        return request, changes

    def _owner(self, path: object, model_id: object) -> RunRecord | None:
        """The recorded run of a model whose weights a `saved_model_path` names."""
        try:
            run_id = self.checkpoints.resolve(path).parent.name if isinstance(path, str) else ""
        except (ValueError, OSError):
            run_id = ""
        run = self.store.get_run(run_id, metrics=False) if run_id else None
        return run if run and run.model_id == model_id and self.checkpoints.weights(run_id).is_file() else None

    def _put(self, model_id: str, changes: dict[str, Any]) -> tuple[ModelRecord, bool]:
        """Change a model, or create it with these fields; (the model, whether it is new)."""
        if self.store.get_model(model_id) is not None:
            try:
                return self._ahead(self._update(model_id, changes)), False
            except UnknownRecord:
                pass  # deleted in between: create it
        name = changes.get("name")
        now = utc_now()
        made = {**changes, "name": name or _generated(changes.get("architecture"))}
        model = ModelRecord(model_id=model_id, created_at=now, updated_at=now, **made)
        try:
            model = self.store.create_model(model, generated=name is None)
        except sqlite3.IntegrityError:
            raise ApiError(
                409, f"Model {model_id} was created by another request meanwhile; send this one again"
            ) from None
        return self._ahead(model), True

    def _update(self, model_id: str, changes: dict[str, Any]) -> ModelRecord:
        """Change a model; one whose name is emptied gets a generated one."""
        if "name" not in changes or changes["name"] is not None:
            return self.store.update_model(model_id, **changes)
        model = self.store.get_model(model_id)
        architecture = changes.get("architecture", model.architecture if model else None)
        return self.store.update_model(model_id, generated=True, **{**changes, "name": _generated(architecture)})

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


def differs(body: Json, model_id: str) -> list[Problem]:
    """The problem of a body that names another model than the path; it may repeat the id."""
    stated = body.get("model_id")
    if stated in (None, model_id):
        return []
    rule = f"must be the {shown(model_id)} of the path or left out, got {shown(stated)}"
    return [set_to(model_id, ("model_id",), rule, got=stated)]


def _definition(request: Definition) -> dict[str, Any]:
    """The changes that name, description, architecture and hyperparams ask for, each kept as it was sent."""
    came = request.model_fields_set
    parts = {"architecture": request.architecture, "hyperparams": request.hyperparams}
    changes: dict[str, Any] = {name: part.json if part else None for name, part in parts.items() if name in came}
    if "description" in came:
        changes["description"] = request.description
    if "name" in came:
        changes["name"] = request.name
    return changes


def _generated(architecture: Json | None) -> str:
    """The name of a definition, which the store numbers."""
    return model_name(parse_architecture(architecture).summary_name() if architecture else None)
