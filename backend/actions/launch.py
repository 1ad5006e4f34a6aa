"""From a checked request for training to a run in the queue."""

from __future__ import annotations

from dataclasses import dataclass

from backend.actions import retrain
from backend.actions.model_names import model_name
from backend.actions.order import Order, Orders
from backend.errors import ApiError
from backend.parsing.ids import new_model_id
from backend.state.errors import UnknownRecord
from backend.state.records import Json, ModelRecord, RunRecord, utc_now
from backend.state.store import Store
from backend.training.runs import Runs


@dataclass(frozen=True)
class Launch:
    """Starts runs."""

    store: Store
    runs: Runs
    orders: Orders

    def run(self, body: Json) -> tuple[RunRecord, str, int | None, Order]:
        """Start or queue a run: (the run, its model's name, its place in the queue if it waits, what was ordered).

        A model that is made for the run has its name; one that exists keeps its own, unless it is to be updated.

        Raises SpecError, ApiError 404 (unknown model), and as `Runs.admit` does.
        """
        order = self.orders.read(body)
        self.runs.admit(order.queue)  # before a model is made for it
        model = order.model or self._create_model(order)
        try:
            run = self.runs.submit(order.run_of(model))
        except Exception:  # refused, e.g. because another request was faster
            if order.model is None:
                self.store.delete_model(model.model_id)
            raise
        if order.model is not None:
            model = self._update_model(order, order.model)
        return run, model.name, self.runs.place_told(run.run_id, queue=order.queue), order

    def _create_model(self, order: Order) -> ModelRecord:
        now = utc_now()
        model = ModelRecord(
            model_id=new_model_id(),
            name=order.request.name or model_name(order.architecture.value.summary_name(), order.dataset),
            made_for_run=True,
            description=order.request.description or None,
            architecture=order.architecture.json,
            hyperparams=order.request.kept,
            created_at=now,
            updated_at=now,
        )
        return self.store.create_model(model, generated=order.request.name is None)

    def _update_model(self, order: Order, model: ModelRecord) -> ModelRecord:
        """The description that came, and of the name and the definition what is to change."""
        name = order.request.name if order.request.update_model else None
        came = {"name": name, "description": order.request.description or None}
        changes: Json = {field: value for field, value in came.items() if value not in (None, getattr(model, field))}
        changes |= retrain.changes(
            model,
            architecture=order.architecture.json,
            hyperparams=order.request.kept,
            update=bool(order.request.update_model),
        )
        if not changes:
            return model
        try:
            return self.store.update_model(model.model_id, **changes)
        except UnknownRecord:
            raise ApiError(404, f"Model {model.model_id} was deleted meanwhile") from None
