"""The body of `POST /api/train`, checked."""

from __future__ import annotations

from dataclasses import dataclass

from backend.actions import retrain
from backend.actions.resume import Resume, Source, filled_in, leaks
from backend.errors import not_found
from backend.parsing.requests import MAX_ID, Fields
from backend.state.records import Json, ModelRecord, RunRecord
from backend.state.store import Store
from backend.training.default_dataset import DefaultDataset
from backend.training.job import NewRun, unlike
from backend.training.limits import Limits
from nets import datasets
from nets.architecture.read import Architecture, parse_architecture
from nets.errors import Problem, SpecError
from nets.hyperparams.hyperparams import Hyperparams, parse_hyperparams, unused_fields
from nets.training.check import doubts

FIELDS = ("architecture", "hyperparams", "model_id", "name", "description", "queue", "resume_from", "update_model")


@dataclass(frozen=True)
class Order:
    """A checked request for training. `architecture_json`: as sent, now or when stored.

    `update`: `model` keeps the definition that this run uses; a new one does in any case.
    """

    model: ModelRecord | None
    name: str | None
    description: str | None
    queue: bool
    update: bool
    architecture: Architecture
    architecture_json: Json
    hyperparams: Hyperparams
    hyperparams_json: Json | None
    dataset: str
    warnings: list[str]
    source: Source | None

    def run_of(self, model: ModelRecord) -> NewRun:
        return NewRun(
            model_id=model.model_id,
            architecture=self.architecture,
            architecture_json=self.architecture_json,
            hyperparams=self.hyperparams,
            dataset=self.dataset,
            named=self.hyperparams.dataset_type is not None or self.source is not None,
            warnings=self.warnings,
            queue=self.queue,
            resumed_from=self.source.run.run_id if self.source else None,
            snapshot=self.source.snapshot if self.source else None,
        )


@dataclass(frozen=True)
class Orders:
    """Reads requests for training."""

    store: Store
    resume: Resume
    limits: Limits
    default_dataset: DefaultDataset

    def read(self, body: Json) -> Order:
        """The request, checked: every problem of the body at once, then its model, then the fit to the data."""
        fields, sent = Fields(body, FIELDS), body
        run_id, model_id = fields.text("resume_from", most=MAX_ID), fields.model_id()
        before = self.resume.continued(run_id) if run_id else None
        if before is not None:
            fields.body = body = filled_in(before, body)
            model_id = before.model_id
        model = self.store.get_model(model_id) if model_id is not None else None
        if model is not None and before is None:
            fields.body = body = retrain.filled_in(model, body)
        name, description = fields.name(), fields.description()
        queue, update = fields.flag("queue") or False, fields.flag("update_model") or False
        hyperparams, architecture = fields.parsed("hyperparams", parse_hyperparams), None
        if fields.has("architecture") or not fields.has("model_id"):
            architecture = fields.parsed("architecture", self._required_architecture)
        fields.done()
        if model_id is not None and model is None:
            raise not_found("model", model_id, listing="/api/models")
        architecture_json, hyperparams_json = body.get("architecture"), body.get("hyperparams")
        if architecture is None:
            assert model is not None
            architecture_json, architecture = model.architecture, self._stored_architecture(model)
        assert hyperparams is not None and isinstance(architecture_json, dict)

        source = self.resume.source_of(before, architecture, hyperparams) if before else None
        dataset, warnings = self._dataset(before, hyperparams)
        info = datasets.info(dataset)
        self.limits.check(architecture, hyperparams, info)
        warnings = [*unused_fields(hyperparams_json), *doubts(architecture, hyperparams, info), *warnings]
        if model is not None and before is None:
            warnings += retrain.remarks(model, sent, hyperparams, update=update)
        definition = architecture, architecture_json, hyperparams, hyperparams_json
        return Order(model, name, description, queue, update, *definition, dataset, warnings, source)

    def _dataset(self, before: RunRecord | None, hyperparams: Hyperparams) -> tuple[str, list[str]]:
        """What to train on, and warnings about it. `before`: the run that this one goes on from."""
        if before is not None:
            return hyperparams.dataset_type or before.dataset, [*leaks(before, hyperparams), *unlike(before)]
        if hyperparams.dataset_type:
            return hyperparams.dataset_type, []
        dataset, warning = self.default_dataset.choose()
        return dataset, [warning] if warning else []

    def _required_architecture(self, value: object) -> Architecture:
        if value is None:
            detail = "is required: an object with a list of layers, or give the model_id of a stored definition"
            raise SpecError([Problem(("architecture",), detail)])
        return self.limits.architecture(value)

    def _stored_architecture(self, model: ModelRecord) -> Architecture:
        if model.architecture is None:
            detail = f"is required: model {model.model_id} has none stored"
            raise SpecError([Problem(("architecture",), detail)])
        return parse_architecture(model.architecture)
