"""The body of `POST /api/train`, checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from backend.actions import retrain
from backend.actions.extend import with_its_curve
from backend.actions.resume import Resume, Source, filled_in, leaks
from backend.errors import not_found
from backend.parsing import canonical
from backend.parsing.parts import Sent
from backend.parsing.requests import Beginning, TrainBody, check, glance, missing
from backend.state.records import Json, ModelRecord, RunRecord
from backend.state.store import Store
from backend.training.default_dataset import DefaultDataset
from backend.training.job import NewRun, unlike
from backend.training.limits import Limits
from nets import datasets
from nets.architecture.architecture import Architecture
from nets.architecture.read import parse_architecture
from nets.doubts.case import Case
from nets.doubts.doubt import Doubt
from nets.doubts.rules import doubts
from nets.errors import SpecError
from nets.hyperparams.hyperparams import Hyperparams
from nets.hyperparams.parts import as_sent
from nets.kernels import Choice
from nets.schedules.rates import Rates
from nets.training.learning_rate import rates_of


@dataclass(frozen=True)
class Order:
    """A checked request for training. `architecture`: as sent, now or when `model` was stored.

    doubts: what is legal and seldom meant; `warnings` has these as sentences, among others. rates: of learning.
    """

    request: TrainBody
    model: ModelRecord | None
    architecture: Sent[Architecture]
    dataset: str
    warnings: list[str]
    doubts: list[Doubt]
    source: Source | None
    kernels: Choice
    rates: Rates
    request_sha256: str

    @property
    def queue(self) -> bool:
        return bool(self.request.queue)

    def run_of(self, model: ModelRecord) -> NewRun:
        hyperparams = self.request.settings
        return NewRun(
            model_id=model.model_id,
            name=self.request.name,
            tags=self.request.tags or [],
            notes=self.request.notes or None,
            architecture=self.architecture.value,
            architecture_json=self.architecture.json,
            hyperparams=hyperparams,
            dataset=self.dataset,
            named=hyperparams.dataset_type is not None or self.source is not None,
            warnings=self.warnings,
            queue=self.queue,
            kernels=self.kernels,
            resumed_from=self.source.run.run_id if self.source else None,
            snapshot=self.source.snapshot if self.source else None,
            request_sha256=self.request_sha256,
        )


class Filled(NamedTuple):
    """A body with what it leaves out. model_id: the model that it names; before: the run that it goes on from."""

    model_id: str | None
    before: RunRecord | None
    model: ModelRecord | None
    body: Json


@dataclass(frozen=True)
class Orders:
    """Reads requests for training."""

    store: Store
    resume: Resume
    limits: Limits
    default_dataset: DefaultDataset
    kernels: Choice

    def read(self, sent: Json) -> Order:
        """The request, checked: every problem of the body at once, then its model, then the fit to the data."""
        model_id, before, model, body = self.filled(sent)
        request = check(TrainBody, body, most_layers=self.limits.layers)
        if model_id is not None and model is None:
            raise not_found("model", model_id, listing="/api/models")
        if before is not None:
            request = with_its_curve(request, before, sent)
        architecture, hyperparams = request.architecture or _stored(model), request.settings

        source = self.resume.source_of(before, architecture.value, hyperparams) if before else None
        dataset, warnings = self._dataset(before, hyperparams)
        info = datasets.info(dataset)
        try:
            self.limits.check(architecture.value, hyperparams, info, kernels=self.kernels)
        except SpecError as error:
            raise as_sent(error.problems, sent) from None
        doubted = doubts(Case(architecture.value.graph, hyperparams, info, {**sent, "hyperparams": request.kept}))
        warnings = [*map(str, doubted), *warnings]
        if model is not None and before is None:
            warnings += retrain.remarks(model, sent, hyperparams, update=bool(request.update_model))
        return Order(
            *(request, model, architecture, dataset, warnings, doubted, source, self.kernels),
            rates=rates_of(hyperparams, info, source.snapshot if source else None),
            request_sha256=canonical.sha256(sent),
        )

    def filled(self, sent: Json) -> Filled:
        """A body with what it takes over, unchecked. ApiError 404 and 409 for a run that it cannot go on from."""
        begins, body = glance(Beginning, sent), sent
        before = self.resume.continued(begins.resume_from) if begins.resume_from else None
        if before is not None:
            body = filled_in(before, sent)
        model_id = before.model_id if before else begins.model_id
        model = self.store.get_model(model_id) if model_id is not None else None
        if model is not None and before is None:
            body = retrain.filled_in(model, sent)
        return Filled(model_id, before, model, body)

    def _dataset(self, before: RunRecord | None, hyperparams: Hyperparams) -> tuple[str, list[str]]:
        """What to train on, and warnings about it. `before`: the run that this one goes on from."""
        if before is not None:
            said = [*leaks(before, hyperparams), *unlike(before, hyperparams, kernels=self.kernels)]
            return hyperparams.dataset_type or before.dataset, said
        if hyperparams.dataset_type:
            return hyperparams.dataset_type, []
        dataset, warning = self.default_dataset.choose()
        return dataset, [warning] if warning else []


def _stored(model: ModelRecord | None) -> Sent[Architecture]:
    assert model is not None, "a body without an architecture names a model"
    if model.architecture is None:
        detail = f"is required: model {model.model_id} has none stored"
        raise SpecError([missing("architecture", detail, {"type": "object"})])
    return Sent(model.architecture, parse_architecture(model.architecture))
