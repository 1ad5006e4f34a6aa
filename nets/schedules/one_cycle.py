"""Up, down, and far down, with the momentum the other way round."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from types import ModuleType
from typing import Annotated, Any, Literal, Self

from pydantic import Field

from nets.errors import Path, Problem
from nets.schedules.base import SCHEDULES, Curve, Epochs, Inputs, Span, Steps, arrays, half_cosine
from nets.spec.fields import Boolean, Real

Divisor = Annotated[Real, Field(ge=1, le=10**9)]
MomentumOf = Annotated[Real, Field(ge=0, lt=1)]


@SCHEDULES.register
class OneCycle(Curve):
    """From `lr / div_factor` up to `lr` and down to `lr / div_factor / final_div_factor` in the last step.
    `torch.optim.lr_scheduler.OneCycleLR`, whose `max_lr` is the optimizer's `lr`. Smith & Topin, 2018.
    """

    type: Literal["one_cycle"] = "one_cycle"
    warmup_epochs: Epochs | None = Field(
        default=None, description="Epochs over which the learning rate rises, in the place of `pct_start`."
    )
    pct_start: Annotated[Real, Field(ge=0, le=1)] = Field(
        default=0.3, description="The share of the steps over which the learning rate rises."
    )
    anneal_strategy: Literal["cos", "linear"] = Field(
        default="cos", description="Half cosines or lines between the turns."
    )
    div_factor: Divisor = Field(default=25.0, description="How many times less than `lr` the first step has.")
    final_div_factor: Divisor = Field(
        default=1e4, description="How many times less than the first step the last one has."
    )
    three_phase: Boolean = Field(
        default=False, description="Down to where it began in as many steps as up, and from there to the end."
    )
    cycle_momentum: Boolean | None = Field(
        default=None,
        description="Whether the momentum goes the other way: the optimizer's `momentum`, or the first of its `betas`. "
        "Without it, wherever the optimizer has one.",
    )
    base_momentum: MomentumOf = Field(default=0.85, description="The momentum at the largest learning rate.")
    max_momentum: MomentumOf = Field(default=0.95, description="The momentum at the first and at the last one.")

    examples = ({"type": "one_cycle", "pct_start": 0.3, "div_factor": 25},)
    also = ("onecycle", "1cycle")

    @property
    def needs_epochs(self) -> bool:
        return self.horizon_epochs is None

    def inputs(self, span: Span) -> dict[str, Any]:
        """Also rise, fall: the steps in which the first and the second phase end; first, final: shares."""
        n = super().inputs(span)
        steps = n["horizon"]
        rises = self.pct_start * steps if self.warmup_epochs is None else span.steps(self.warmup_epochs)
        return {
            **n,
            "rise": rises - 1,
            "fall": 2 * rises - 2 if self.three_phase else steps - 1,
            "first": 1 / self.div_factor,
            "final": 1 / self.div_factor / self.final_div_factor,
            "base_momentum": self.base_momentum,
            "max_momentum": self.max_momentum,
        }

    def at(self, at: Steps, n: Inputs, xp: ModuleType) -> Any:
        turn = n["first"] if self.three_phase else n["final"]
        return self.through(at, n, xp, (n["first"], 1.0, turn, n["final"]))

    def momentum(self, step: Any, n: Inputs) -> Any | None:
        """The other way round; None where it is not cycled."""
        if not self.cycle_momentum:
            return None
        xp = arrays(step)
        at = self.place(step, n, xp)
        high = n["max_momentum"]
        return self.through(at, n, xp, (high, n["base_momentum"], high, high))

    def through(self, at: Steps, n: Inputs, xp: ModuleType, values: Sequence[Any]) -> Any:
        """The value of a step of phases that end in rise, fall and the last step, and go through `values`."""
        blend: Callable[[Any], Any] = (lambda left: half_cosine(left, xp)) if self.anneal_strategy == "cos" else _as_is
        ends = (0.0, n["rise"], n["fall"], n["horizon"] - 1)

        def phase(i: int) -> Any:
            length = ends[i + 1] - ends[i]
            left = xp.clip((ends[i + 1] - at) / xp.where(length > 0, length, 1.0), 0.0, 1.0)
            return values[i + 1] + (values[i] - values[i + 1]) * blend(left)

        last = phase(2) if self.three_phase else phase(1)
        middle = xp.where(at <= n["fall"], phase(1), last) if self.three_phase else last
        return xp.where(at <= n["rise"], phase(0), middle)

    def marks(self, n: Inputs) -> Sequence[float]:
        return n["begin"] + n["rise"], n["begin"] + n["fall"]

    def over(self, momenta: Collection[str]) -> Self:
        """With `cycle_momentum` said."""
        if self.cycle_momentum is not None:
            return self
        return self.model_copy(update={"cycle_momentum": bool(momenta)})

    def structure(self) -> Self:
        return super().structure().model_copy(update={"cycle_momentum": bool(self.cycle_momentum)})

    def problems(self, momenta: Collection[str], path: Path) -> Iterator[Problem]:
        if self.cycle_momentum and not momenta:
            rule = (
                "needs an optimizer with a momentum above 0 or betas; leave it out, send false, or give it a momentum"
            )
            yield Problem((*path, "cycle_momentum"), rule, "conflict", expected=False, got=True)


def _as_is(left: Any) -> Any:
    return left
