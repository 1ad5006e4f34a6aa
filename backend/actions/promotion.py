"""A run's weights made those of its model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from backend.actions.definitions import differs
from backend.actions.networks import Networks
from backend.errors import ApiError, not_found
from backend.parsing.requests import PromoteBody, check
from backend.state.errors import UnknownRecord
from backend.state.records import Json, ModelRecord, RunRecord
from backend.state.store import Store
from nets.errors import SpecError
from nets.hyperparams.hyperparams import parse_hyperparams


@dataclass(frozen=True)
class Promotion:
    """Promotes runs whose weights can be asked."""

    store: Store
    networks: Networks

    def promote(self, body: Json, model_id: str | None = None) -> tuple[ModelRecord, RunRecord]:
        """Make a succeeded run's weights those of its model: the second workflow. `model_id`: the path's, if any.

        CheckpointError where the weights are damaged.
        """
        request = check(PromoteBody, body, further=differs(body, model_id) if model_id is not None else ())
        run_id, wanted = request.run_id, model_id or request.model_id
        if wanted is not None and self.store.get_model(wanted) is None:
            raise not_found("model", wanted, listing="/api/models")
        run = self.store.get_run(run_id, metrics=False)
        if run is None:
            raise not_found("run", run_id, listing="/api/runs")
        if wanted not in (None, run.model_id):
            raise ApiError(409, f"Run {run_id} is a run of model {run.model_id}, not of {wanted}")
        self.networks.load(run)  # what cannot be asked is not promoted
        changes: dict[str, Any] = {"trained": True, "saved_model_path": run.saved_model_path, "saved_run_id": run_id}
        said = {"name": request.name, "description": request.description or None}
        changes |= {key: value for key, value in said.items() if value is not None}
        model = self.store.get_model(run.model_id)
        if model is None:
            raise UnknownRecord(run.model_id)
        return self.store.update_model(run.model_id, **changes, **_trained_definition(model, run)), run


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
