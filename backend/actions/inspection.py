"""What a training would cost, by its request: the same check, and nothing is run or stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from backend.actions.history import history
from backend.actions.order import Order, Orders
from backend.state.records import Json
from backend.state.store import Store
from backend.training.measuring import Measuring
from nets import datasets
from nets.architecture.read import sketched
from nets.architecture.sketch import Sketch
from nets.errors import Problem, SpecError
from nets.hyperparams.hyperparams import parse_hyperparams
from nets.inspection.report import Report, Subject, report
from nets.process.devices import by_name
from nets.training.cache import ProgramCache


@dataclass(frozen=True)
class Inspection:
    """Answers `POST /api/inspect`."""

    orders: Orders
    store: Store
    measuring: Measuring
    programs: ProgramCache

    def answer(self, body: Json) -> tuple[Report, Sequence[Problem]]:
        """What is known of the network, and every problem of the request. Raises ApiError 404 and 409 as training does,
        for models and runs that it cannot go on from.
        """
        try:
            subject = ordered(self.orders.read(body), body)
        except SpecError as error:
            subject = self.half_built(body, error.problems)
        whole = subject.sketch.whole
        measured = {name: kept for name, device in by_name().items() if (kept := self.measuring.kept(device))}
        before = history(self.store, parameters=whole.parameters) if whole else ()
        found = report(
            subject,
            kernels=self.orders.kernels,
            calibrations=measured,
            history=before,
            programs=self.programs,
        )
        return found, subject.problems

    def half_built(self, sent: Json, problems: tuple[Problem, ...]) -> Subject:
        """A request that is refused, as far as it can be read."""
        _, _, model, body = self.orders.filled(sent)
        architecture = body.get("architecture") or (model.architecture if model else None)
        sketch = sketched(architecture, most_layers=self.orders.limits.layers)
        try:
            hyperparams = parse_hyperparams(body.get("hyperparams"))
        except SpecError:
            return Subject(sketch, None, None, problems, body)
        dataset = hyperparams.dataset_type or self.orders.default_dataset.choose()[0]
        return Subject(sketch, hyperparams, datasets.info(dataset), problems, body)


def ordered(order: Order, sent: Json) -> Subject:
    """A request that is accepted."""
    sketch, kept = Sketch.of(order.architecture.value), order.request.kept
    return Subject(
        sketch, order.request.settings, datasets.info(order.dataset), (), {**sent, "hyperparams": kept}, order.rates
    )
