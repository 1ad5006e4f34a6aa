"""The curve of the learning rate of a run that continues another one over more epochs."""

from __future__ import annotations

from backend.parsing.parts import Sent
from backend.parsing.requests import TrainBody
from backend.state.records import Json, RunRecord
from nets.errors import Change, Problem, SpecError
from nets.hyperparams.hyperparams import Hyperparams
from nets.schedules.extending import WAYS, extended
from nets.spec.allowed import one_of

SAID = ("begin_after_epochs", "horizon_epochs")  # fields that say themselves what becomes of a curve


def with_its_curve(request: TrainBody, before: RunRecord, sent: Json) -> TrainBody:
    """The request with a schedule that goes on from `before` as `extend` says; SpecError where that has to be said.

    sent: the body as it came.
    """
    settings = request.settings
    schedule = settings.lr_schedule
    if request.extend is None:
        other = settings.epochs > before.epoch and settings.epochs != before.epochs_total  # too few are told of as such
        if schedule and schedule.needs_epochs and other and not said(sent):
            raise SpecError([unsaid(settings, before)])
        return request
    if schedule is None or not schedule.has_a_curve:
        what = f"{schedule.type} follows the run, and has" if schedule else "without an lr_schedule there is"
        rule = f"means nothing here, since {what} no curve that is laid over epochs; leave it out"
        fix = (Change("remove", ("extend",)),)
        raise SpecError([Problem(("extend",), rule, "unused", expected={"type": "null"}, got=request.extend, fix=fix)])
    changed = settings.model_copy(
        update={"lr_schedule": extended(schedule, request.extend, done=before.epoch, of=before.epochs_total)}
    )
    kept = {**(request.kept or {}), "lr_schedule": changed.to_json()["lr_schedule"]}
    return request.model_copy(update={"hyperparams": Sent(kept, changed)})


def said(sent: Json) -> bool:
    """Whether a body says itself what becomes of the curve."""
    hyperparams = sent.get("hyperparams")
    schedule = hyperparams.get("lr_schedule") if isinstance(hyperparams, dict) else None
    return isinstance(schedule, dict) and any(name in schedule for name in SAID)


def unsaid(settings: Hyperparams, before: RunRecord) -> Problem:
    """That a client has to choose."""
    assert settings.lr_schedule is not None
    rule = (
        f"is required: the curve of {settings.lr_schedule.type} is laid over all epochs, of which run {before.run_id} "
        f"had {before.epochs_total} and this one has {settings.epochs}. {WAYS}"
    )
    return Problem(("extend",), rule, "missing", expected=one_of(("rescale", "hold", "restart")), got=None)
