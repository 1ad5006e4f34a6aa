"""Half a cosine, once or again and again."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Annotated, Any, Literal

from pydantic import Field

from nets.schedules.base import (
    SCHEDULES,
    Inputs,
    SomeEpochs,
    Span,
    Steps,
    behind,
    half_cosine,
    towards,
)
from nets.schedules.decay import ToAnEnd
from nets.spec.fields import Real

MOST_MARKS = 64


@SCHEDULES.register
class Cosine(ToAnEnd):
    """Half a cosine down to `final_lr`. `torch.optim.lr_scheduler.CosineAnnealingLR`, or `CosineAnnealingWarmRestarts`
    with `restart_epochs`; in steps. Loshchilov & Hutter, 2017.
    """

    type: Literal["cosine"] = "cosine"
    restart_epochs: SomeEpochs | None = Field(
        default=None, description="Epochs of the first half cosine, after which another one begins; without it, one."
    )
    restart_factor: Annotated[Real, Field(ge=1, le=100)] = Field(
        default=1.0, description="How many times as long as the one before each next half cosine is."
    )

    examples = ({"type": "cosine", "warmup_epochs": 0.5, "final_lr": 0.0001},)
    also = ("cosine_annealing", "cosine_decay", "cosine_restarts")
    aliases = {**ToAnEnd.aliases, "t_0": "restart_epochs", "t_mult": "restart_factor"}

    @property
    def needs_epochs(self) -> bool:
        return self.restart_epochs is None and super().needs_epochs

    def inputs(self, span: Span) -> dict[str, Any]:
        """Also period: steps of the first half cosine; growth: from one to the next."""
        n = super().inputs(span)
        whole = max(n["horizon"] - n["warmup"], 1.0)
        period = whole if self.restart_epochs is None else max(span.steps(self.restart_epochs), 1.0)
        return {**n, "period": period, "growth": self.restart_factor}

    def share(self, at: Steps, n: Inputs, xp: ModuleType) -> Any:
        since = xp.maximum(at - n["warmup"], 0.0)
        begin, length = cycle(since, n["period"], n["growth"], xp)
        left = xp.clip((begin + length - since) / length, 0.0, 1.0)
        return towards(n["final"], half_cosine(left, xp))

    def marks(self, n: Inputs) -> Sequence[float]:
        first, lasts = n["begin"] + n["warmup"], n["period"]
        marks, growth = [first], float(n["growth"])
        while marks[-1] < n["begin"] + n["horizon"] and len(marks) < MOST_MARKS:
            marks.append(marks[-1] + lasts)
            lasts = lasts * growth
        return marks


def cycle(since: Steps, period: Any, growth: Any, xp: ModuleType) -> tuple[Any, Any]:
    """Where the cycle of a step begins, and how long it is: the i-th is `period * growth^i` steps long."""
    reached = behind(since, xp)
    even = xp.floor(reached / period)
    more = xp.where(growth > 1, growth, 2.0)
    place = xp.floor(xp.log(reached / period * (more - 1) + 1) / xp.log(more))

    def start(i: Any) -> Any:
        return period * (more**i - 1) / (more - 1)

    place = xp.where(reached >= start(place + 1), place + 1, place)  # logarithms are rounded
    place = xp.where(reached < start(place), xp.maximum(place - 1, 0), place)
    grows = growth > 1
    begin = xp.where(grows, start(place), even * period)
    return begin, xp.where(grows, period * more**place, period)
