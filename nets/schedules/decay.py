"""Schedules that fall smoothly: to the end of the run, or for ever."""

from __future__ import annotations

from types import ModuleType
from typing import Annotated, Any, Literal

from pydantic import Field

from nets.schedules.base import (
    SCHEDULES,
    FinalRate,
    Inputs,
    SomeEpochs,
    Span,
    Steps,
    WarmedCurve,
    behind,
    power,
    remaining,
    towards,
)
from nets.spec.fields import Boolean, Real

Gamma = Annotated[Real, Field(gt=0, le=10)]


class ToAnEnd(WarmedCurve):
    """Base of those that fall to a final learning rate, which the step after the last one would have."""

    final_lr: FinalRate = 0.0

    aliases = {"eta_min": "final_lr", "min_lr": "final_lr", "end_lr": "final_lr"}

    @property
    def needs_epochs(self) -> bool:
        return self.horizon_epochs is None

    def inputs(self, span: Span) -> dict[str, Any]:
        """Also final: a share of the learning rate."""
        return {**super().inputs(span), "final": self.final_lr / span.lr}


@SCHEDULES.register
class LinearDecay(ToAnEnd):
    """In a line to `final_lr`. `torch.optim.lr_scheduler.LinearLR` with a `start_factor` of 1, in steps."""

    type: Literal["linear"] = "linear"

    examples = ({"type": "linear", "warmup_epochs": 1, "final_lr": 0.0001},)
    also = ("linear_decay",)

    def share(self, at: Steps, n: Inputs, xp: ModuleType) -> Any:
        return towards(n["final"], remaining(at, n, xp))


@SCHEDULES.register
class Polynomial(ToAnEnd):
    """`(what is left of the run) ^ power`. `torch.optim.lr_scheduler.PolynomialLR`, in steps."""

    type: Literal["polynomial"] = "polynomial"
    power: Annotated[Real, Field(gt=0, le=20)] = Field(default=1.0, description="1 is a line; above, it falls early.")

    examples = ({"type": "polynomial", "power": 2},)
    also = ("poly", "polynomial_decay")

    def inputs(self, span: Span) -> dict[str, Any]:
        return {**super().inputs(span), "power": self.power}

    def share(self, at: Steps, n: Inputs, xp: ModuleType) -> Any:
        return towards(n["final"], power(remaining(at, n, xp), n["power"], xp))


@SCHEDULES.register
class Exponential(WarmedCurve):
    """`gamma` times as much after every epoch. `torch.optim.lr_scheduler.ExponentialLR`, which has it in stairs."""

    type: Literal["exponential"] = "exponential"
    gamma: Gamma = Field(default=0.95, description="What an epoch multiplies the learning rate by.")
    staircase: Boolean = Field(default=False, description="At the end of each epoch, instead of a little in each step.")

    examples = ({"type": "exponential", "gamma": 0.9},)
    also = ("exponential_decay",)
    aliases = {"decay_rate": "gamma"}

    def inputs(self, span: Span) -> dict[str, Any]:
        return {**super().inputs(span), "gamma": self.gamma, "epoch": float(span.steps_per_epoch)}

    def share(self, at: Steps, n: Inputs, xp: ModuleType) -> Any:
        since = xp.maximum(at - n["warmup"], 0.0)
        epochs = since / n["epoch"]
        return power(n["gamma"], xp.floor(behind(since, xp) / n["epoch"]) if self.staircase else epochs, xp)


@SCHEDULES.register
class InverseSqrt(WarmedCurve):
    """`sqrt(t / (t + steps since the warm-up))`, for a `timescale_epochs` of t. Vaswani et al., 2017, whose t is the
    warm-up's.
    """

    type: Literal["inverse_sqrt"] = "inverse_sqrt"
    timescale_epochs: SomeEpochs | None = Field(
        default=None,
        description="Epochs after the warm-up until the learning rate is 0.71 of what it was; without it as many as "
        "those of the warm-up, or 1.",
    )

    examples = ({"type": "inverse_sqrt", "warmup_epochs": 1},)
    also = ("inverse_square_root", "rsqrt", "noam")

    def inputs(self, span: Span) -> dict[str, Any]:
        scale = self.timescale_epochs or self.warmup_epochs or 1.0
        return {**super().inputs(span), "timescale": max(span.steps(scale), 1.0)}

    def share(self, at: Steps, n: Inputs, xp: ModuleType) -> Any:
        return xp.sqrt(n["timescale"] / (n["timescale"] + xp.maximum(at - n["warmup"], 0.0)))
