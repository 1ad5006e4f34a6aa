"""What the events of a run that trains say, made of what `nets.fit` tells."""

from __future__ import annotations

from dataclasses import MISSING, asdict, fields
from typing import Annotated, Any, NotRequired, get_args, get_type_hints

from typing_extensions import TypedDict

from backend.state.records import Json, Told
from nets.training.events import Log, Progress
from nets.training.metrics import EpochMetrics
from nets.training.step_losses import StepLoss

Payload = Any  # a TypedDict made from a dataclass: no type checker follows it, so tests hold real streams against it


def data_of(run_id: str, event: EpochMetrics | StepLoss | Progress | Log) -> Json:
    """The data of an event, without what nothing is known of."""
    return {"run_id": run_id, **{name: value for name, value in asdict(event).items() if value is not None}}


def _payload(name: str, about: str, kind: type[Any], **more: Any) -> Payload:
    """The type of what `data_of` makes of a dataclass, and of what its sender adds."""
    hints = get_type_hints(kind)
    of_kind = {
        field.name: hints[field.name] if field.default is MISSING else NotRequired[get_args(hints[field.name])[0]]
        for field in fields(kind)
    }
    make: Any = TypedDict
    made = make(name, {"run_id": str, **of_kind, **more})
    made.__doc__ = about
    return made


MetricEvent = _payload(
    "MetricEvent", "The data of `event: metric`, once per epoch. All numbers are finite.", EpochMetrics
)
StepEvent = _payload(
    "StepEvent",
    "The data of `event: step`, of each n-th step with `log_every`. `step`: counted from 1 over all epochs; `loss`: "
    "the mean over its batch, before its update, which has this learning rate.",
    StepLoss,
)
ProgressEvent = _payload(
    "ProgressEvent",
    "The data of `event: progress`: where the run is, several times a second; not stored, and not replayed. "
    "`fraction`: of the whole run. `loss`, `accuracy`: over the samples of the epoch under way that it has trained on.",
    Progress,
    message=NotRequired[Annotated[str, Told("What the download of the data set says.")]],
    cancelling=NotRequired[Annotated[bool, Told("Whether the run was cancelled, and has not ended yet.")]],
)
LogEvent = _payload("LogEvent", "The data of `event: log`: a sentence for the reader of the run.", Log)
