"""Warm-up, a long level stretch, and a short way down."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any, Literal

from pydantic import Field

from nets.schedules.base import SCHEDULES, Inputs, SomeEpochs, Span, Steps, half_cosine, towards
from nets.schedules.decay import ToAnEnd

DECAYS = 0.2  # of the curve, where nothing else is said


@SCHEDULES.register
class Wsd(ToAnEnd):
    """Warm-up, stable, decay: the learning rate stays until `decay_epochs` before the end, or as many as the warm-up
    leaves, and falls to `final_lr`. Hu et al., 2024.
    """

    type: Literal["wsd"] = "wsd"
    decay_epochs: SomeEpochs | None = Field(
        default=None, description="Epochs of the way down; without it, a fifth of all that the curve is laid over."
    )
    decay: Literal["linear", "cosine", "sqrt"] = Field(
        default="linear", description="A line, half a cosine, or `1 - sqrt(way)`. Haegele et al., 2024."
    )

    examples = ({"type": "wsd", "warmup_epochs": 0.5, "decay_epochs": 1},)
    also = ("warmup_stable_decay", "trapezoidal")
    aliases = {**ToAnEnd.aliases, "decay_type": "decay"}

    def inputs(self, span: Span) -> dict[str, Any]:
        """Also down: steps of the way down."""
        n = super().inputs(span)
        down = DECAYS * n["horizon"] if self.decay_epochs is None else span.steps(self.decay_epochs)
        return {**n, "down": max(min(down, n["horizon"] - n["warmup"]), 1.0)}

    def share(self, at: Steps, n: Inputs, xp: ModuleType) -> Any:
        left = xp.clip((n["horizon"] - at) / n["down"], 0.0, 1.0)
        if self.decay == "cosine":
            left = half_cosine(left, xp)
        elif self.decay == "sqrt":
            left = left / (1 + xp.sqrt(1 - left))  # 1 - sqrt(1 - left), with all its digits
        return towards(n["final"], left)

    def marks(self, n: Inputs) -> Sequence[float]:
        return (*super().marks(n), n["begin"] + n["horizon"] - n["down"])
