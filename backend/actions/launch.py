"""From the body of `POST /api/train` to a run in the queue."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from backend.actions import retrain
from backend.actions.resume import Source, continued, filled_in, leaks, source_of
from backend.errors import ApiError, not_found
from backend.parsing.ids import model_name, new_model_id
from backend.parsing.requests import MAX_ID, Fields
from backend.state.attempts import READING
from backend.state.errors import UnknownRecord, UnreadableRecord
from backend.state.records import Json, ModelRecord, RunRecord
from backend.state.store import utc_now
from backend.training.job import unlike
from nets import datasets
from nets.architecture.read import Architecture, parse_architecture
from nets.datasets import DatasetInfo
from nets.errors import DataError, Problem, SpecError
from nets.hyperparams.hyperparams import Hyperparams, parse_hyperparams, unused_fields
from nets.inspection.memory import check_memory, compile_seconds
from nets.training.check import check_fit, check_pace, doubts
from nets.training.programs import Recipe, recipe_on

if TYPE_CHECKING:
    from backend.services import Services

FIELDS = ("architecture", "hyperparams", "model_id", "name", "description", "queue", "resume_from", "update_model")
PREFERRED, BUNDLED = "mnist", "digits"
WARM_SECONDS = 30.0  # what takes longer to compile is not compiled ahead: the run of another would wait for it
PROBE_SECONDS = 30.0  # how long it is believed that a data set can, or cannot, be had


class DefaultDataset:
    """The data set of a request that names none: mnist where it can be had, else the bundled digits."""

    def __init__(
        self, data_dir: Path, *, available: Callable[[str, Path], tuple[bool, str]] = datasets.available
    ) -> None:
        self._data_dir = data_dir
        self._available = available
        self._answer: tuple[str, str | None] | None = None
        self._until = 0.0

    def choose(self) -> tuple[str, str | None]:
        """(name, warning or None). May ask the network for up to 3.5 s, seldom; two requests may ask at once."""
        if self._answer is None or time.monotonic() > self._until:
            had, reason = self._available(PREFERRED, self._data_dir)
            self._answer = (PREFERRED, None) if had else (BUNDLED, _fallback(reason))
            self._until = time.monotonic() + PROBE_SECONDS
        return self._answer


def _fallback(reason: str) -> str:
    choice = f"no dataset_type was given and {PREFERRED} cannot be had, so this run trains on the bundled {BUNDLED}"
    return f"{choice}: {reason}"


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


def launch(services: Services, body: Json) -> tuple[RunRecord, str, int | None]:
    """Start or queue a run: (the run, its model's name, its place in the queue if it waits).

    Raises SpecError, ApiError 404 (unknown model), and as `Runs.admit` does.
    """
    order = read_order(services, body)
    services.runs.admit(order.queue)  # before a model is made for it
    model = order.model or _create_model(services, order)
    try:
        run = services.runs.submit(
            model_id=model.model_id,
            architecture=order.architecture,
            architecture_json=order.architecture_json,
            hyperparams=order.hyperparams,
            dataset=order.dataset,
            named=order.hyperparams.dataset_type is not None or order.source is not None,
            warnings=order.warnings,
            queue=order.queue,
            resumed_from=order.source.run.run_id if order.source else None,
            snapshot=order.source.snapshot if order.source else None,
        )
    except Exception:  # refused, e.g. because another request was faster
        if order.model is None:
            services.store.delete_model(model.model_id)
        raise
    if order.model is not None:
        model = _update_model(services, order, order.model)
    waits = order.queue and services.runs.busy() != run.run_id
    return run, model.name, services.runs.queue_position(run.run_id) if waits else None


def read_order(services: Services, body: Json) -> Order:
    """The request, checked: every problem of the body at once, then the model it names, then the fit to the data."""
    fields, sent = Fields(body, FIELDS), body
    run_id, model_id = fields.text("resume_from", most=MAX_ID), fields.model_id()
    before = continued(services, run_id) if run_id else None
    if before is not None:
        fields.body = body = filled_in(before, body)
        model_id = before.model_id
    model = services.store.get_model(model_id) if model_id is not None else None
    if model is not None and before is None:
        fields.body = body = retrain.filled_in(model, body)
    name, description = fields.name(), fields.description()
    queue, update = fields.flag("queue") or False, fields.flag("update_model") or False
    hyperparams, architecture = fields.parsed("hyperparams", parse_hyperparams), None
    if fields.has("architecture") or not fields.has("model_id"):
        architecture = fields.parsed(
            "architecture", partial(_required_architecture, most_layers=services.settings.max_layers)
        )
    fields.done()
    if model_id is not None and model is None:
        raise not_found("model", model_id, listing="/api/models")
    architecture_json, hyperparams_json = body.get("architecture"), body.get("hyperparams")
    if architecture is None:
        assert model is not None
        architecture_json, architecture = model.architecture, _stored_architecture(model)
    assert hyperparams is not None and isinstance(architecture_json, dict)

    source = source_of(services, before, architecture, hyperparams) if before else None
    dataset, warnings = _dataset(services, before, hyperparams)
    info = datasets.info(dataset)
    _check(services, architecture, hyperparams, info)
    warnings = [*unused_fields(hyperparams_json), *doubts(architecture, hyperparams, info), *warnings]
    if model is not None and before is None:
        warnings += retrain.remarks(model, sent, hyperparams, update=update)
    definition = architecture, architecture_json, hyperparams, hyperparams_json
    return Order(model, name, description, queue, update, *definition, dataset, warnings, source)


def _check(services: Services, architecture: Architecture, hyperparams: Hyperparams, info: DatasetInfo) -> None:
    """SpecError unless a run of this network on these data fits together, into memory, and can be cancelled in time."""
    check_fit(architecture, hyperparams, info)
    check_memory(architecture, hyperparams, info, available=services.limits.memory())
    check_pace(architecture, hyperparams, info)


def _dataset(services: Services, before: RunRecord | None, hyperparams: Hyperparams) -> tuple[str, list[str]]:
    """What to train on, and warnings about it. `before`: the run that this one goes on from."""
    if before is not None:
        return hyperparams.dataset_type or before.dataset, [*leaks(before, hyperparams), *unlike(before)]
    if hyperparams.dataset_type:
        return hyperparams.dataset_type, []
    dataset, warning = services.default_dataset.choose()
    return dataset, [warning] if warning else []


def recipe_of(services: Services, model: ModelRecord) -> Recipe | None:
    """What a run of a stored definition would compile, its data set read on the way; None where it could not run."""
    try:
        architecture, hyperparams = parse_architecture(model.architecture), parse_hyperparams(model.hyperparams)
        if compile_seconds(architecture) > WARM_SECONDS:
            return None
        name = hyperparams.dataset_type or services.default_dataset.choose()[0]
        info = datasets.info(name)
        _check(services, architecture, hyperparams, info)
        if datasets.is_cached(name, services.settings.data_dir):
            if (read := _read_ahead(services, name)) is None:
                return None
            info = read
    except (SpecError, DataError):
        return None
    return recipe_on(architecture, hyperparams, info)


def _read_ahead(services: Services, name: str) -> DatasetInfo | None:
    """Read a data set that is at hand; None where that has ended a server. Raises DataError."""
    with services.attempts.of(READING, depends_on=name) as allowed:
        return datasets.load(name, services.settings.data_dir).info if allowed else None


def warm_newest(services: Services) -> None:
    """Make the definition that was trained last ready to be trained again, as it was before a restart.

    Not that of a run which never came to the end of an epoch: it may be what ended the last server. Where nothing was
    trained yet, the data set that most begin with is read, if it is at hand.
    """
    newest = services.store.list_runs(limit=1, metrics=False)  # now: later it might be a run that has just begun

    def recipe() -> Recipe | None:
        model = None
        with suppress(UnreadableRecord):
            model = services.store.get_model(newest[0].model_id) if newest and newest[0].epoch else None
        if model and model.architecture:
            return recipe_of(services, model)
        if datasets.is_cached(PREFERRED, services.settings.data_dir):
            with suppress(DataError):  # which a run will tell its client
                _read_ahead(services, PREFERRED)
        return None

    services.warmer.warm(recipe)


def _required_architecture(value: object, *, most_layers: int) -> Architecture:
    if value is None:
        detail = "is required: an object with a list of layers, or give the model_id of a stored definition"
        raise SpecError([Problem(("architecture",), detail)])
    return parse_architecture(value, most_layers=most_layers)


def _stored_architecture(model: ModelRecord) -> Architecture:
    if model.architecture is None:
        detail = f"is required: model {model.model_id} has none stored"
        raise SpecError([Problem(("architecture",), detail)])
    return parse_architecture(model.architecture)


def _create_model(services: Services, order: Order) -> ModelRecord:
    now = utc_now()
    model = ModelRecord(
        model_id=new_model_id(),
        name=order.name or model_name(order.architecture.summary_name(), order.dataset),
        description=order.description,
        architecture=order.architecture_json,
        hyperparams=order.hyperparams_json,
        created_at=now,
        updated_at=now,
    )
    services.store.create_model(model)
    return model


def _update_model(services: Services, order: Order, model: ModelRecord) -> ModelRecord:
    """The name and description that came, and of the definition what is to change."""
    came = {"name": order.name, "description": order.description}
    changes = {field: value for field, value in came.items() if value not in (None, getattr(model, field))}
    changes |= retrain.changes(
        model, architecture=order.architecture_json, hyperparams=order.hyperparams_json, update=order.update
    )
    if not changes:
        return model
    try:
        return services.store.update_model(model.model_id, **changes)
    except UnknownRecord:
        raise ApiError(404, f"Model {model.model_id} was deleted meanwhile") from None
