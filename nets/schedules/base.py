"""What a learning-rate schedule is: a small specification, and its factor of the learning rate at every step.

All numbers reach `scale` as scalars in steps, so a compiled program serves every warm-up, every length of a run and
every steepness. The same function answers for arrays of NumPy, by which a client is told what a run will do.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Annotated, Any, ClassVar, Self

import jax.numpy as jnp
import numpy as np
from pydantic import Field

from nets.errors import Path, Problem
from nets.spec.fields import Real
from nets.spec.registry import Registry, Typed
from nets.spec.traced import STAND_IN

Steps = Any  # a step, or an array of them, as real numbers: of JAX in a program, of NumPy on the host
Inputs = Mapping[str, Any]  # scalars, and rows of them
MOST_EPOCHS = 100_000
Epochs = Annotated[Real, Field(ge=0, le=MOST_EPOCHS)]
SomeEpochs = Annotated[Real, Field(gt=0, le=MOST_EPOCHS)]
WarmUp = Annotated[
    Epochs, Field(description="Epochs over which the learning rate rises in a line, from the first step on.")
]
WarmUpFrom = Annotated[
    Real, Field(ge=0, le=1, description="The share of the learning rate that the warm-up rises from, before its steps.")
]
FinalRate = Annotated[
    Real, Field(ge=0, le=1000, description="The learning rate that the last step comes close to, one step before it.")
]
LEAST = 1e-30  # of the learning rate: what powers of many stairs or epochs do not fall below, where float32 has a 0
ELSEWHERE: Mapping[str, str] = {  # words of PyTorch, Keras and optax for what stands in another place here
    **dict.fromkeys(
        ("T_max", "total_steps", "total_iters", "steps_per_epoch", "transition_steps"),
        "A curve is laid over all epochs of the run; leave it out, or send horizon_epochs",
    ),
    **dict.fromkeys(
        ("max_lr", "peak_lr", "peak_value", "init_value", "initial_learning_rate", "lr"),
        "The curve has the lr of the optimizer as its largest; send it there",
    ),
}
TOLERANCE = 1e-3, 2e-7  # of places between steps: in steps, and in shares of what float32 tells of them


@dataclass(frozen=True)
class Span:
    """The run that a schedule is laid over. lr: of the optimizer. passed: steps before epoch 1, where those of a run
    that is continued were other in number than epochs are long now.
    """

    steps_per_epoch: int = 1
    epochs: int = 1
    lr: float = 1.0
    passed: int = 0

    def steps(self, epochs: float) -> float:
        """How many steps that is; whole where it is one but for rounding."""
        steps = epochs * self.steps_per_epoch
        return round(steps) if abs(steps - round(steps)) < 1e-9 * max(steps, 1) else steps


class Schedule(Typed):
    """Base of the schedules."""

    examples: ClassVar[tuple[Mapping[str, Any], ...]]
    has_a_curve: ClassVar[bool] = True  # which is known before the run

    @property
    def needs_epochs(self) -> bool:
        """Whether the curve changes with the number of epochs of the run."""
        return False

    def inputs(self, span: Span) -> dict[str, Any]:
        """The numbers that a program takes: in steps, shares and rows of them, whatever fields are left out."""
        raise AssertionError(f"{type(self).__name__} has no inputs")

    def scale(self, step: Any, n: Inputs) -> Any:
        """What the learning rate is multiplied by in a step. step: how many came before, over all epochs; whole.

        n: of `inputs`. Of both either all are JAX's or all are NumPy's.
        """
        raise AssertionError(f"{type(self).__name__} has no scale")

    def momentum(self, step: Any, n: Inputs) -> Any | None:
        """The momentum of a step, where the schedule has one to say."""
        return None

    def marks(self, n: Inputs) -> Sequence[float]:
        """Between which steps the factor only rises or only falls, beside the first and the last one."""
        return ()

    def over(self, momenta: Collection[str]) -> Self:
        """As it is with an optimizer that has these momenta."""
        return self

    def problems(self, momenta: Collection[str], path: Path) -> Iterator[Problem]:
        """Why it does not go with an optimizer that has these momenta."""
        yield from ()

    def structure(self) -> Self:
        """The specification with its numbers taken out: whether one of them is left out changes no program either."""
        fields = type(self).model_fields
        numbers = [name for name in fields if not isinstance(getattr(self, name), bool | str | tuple)]
        stand_ins = {name: STAND_IN if fields[name].is_required() else fields[name].default for name in numbers}
        return self.model_copy(update=stand_ins)


class Curve(Schedule):
    """Base of those whose curve is known before the run."""

    refused = ELSEWHERE
    begin_after_epochs: Epochs = Field(
        default=0.0, description="Epochs of the run before the curve begins; they have its first value."
    )
    horizon_epochs: SomeEpochs | None = Field(
        default=None,
        description="Epochs that the curve is laid over, after which its last value stays; without it, all there are.",
    )

    def length(self, span: Span) -> float:
        """Epochs that the curve is laid over."""
        return self.horizon_epochs or max(span.epochs - self.begin_after_epochs, 0.0)

    def inputs(self, span: Span) -> dict[str, Any]:
        """begin, horizon: steps."""
        begin = span.steps(self.begin_after_epochs) + span.passed
        return {"begin": begin, "horizon": max(span.steps(self.length(span)), 1.0)}

    def scale(self, step: Any, n: Inputs) -> Any:
        xp = arrays(step)
        return self.at(self.place(step, n, xp), n, xp)

    def place(self, step: Any, n: Inputs, xp: ModuleType) -> Steps:
        """A step of the run as one of the curve."""
        return xp.clip(number(step, xp) - n["begin"], 0.0, n["horizon"] - 1)

    def at(self, at: Steps, n: Inputs, xp: ModuleType) -> Any:
        """The factor in a step of the curve: 0 to its horizon - 1."""
        raise AssertionError(f"{type(self).__name__} has no curve")


class WarmedCurve(Curve):
    """Base of those that begin with a warm-up and are `share` of the learning rate after it."""

    warmup_epochs: WarmUp = 0.0
    warmup_start_factor: WarmUpFrom = 0.0

    def inputs(self, span: Span) -> dict[str, Any]:
        """Also warmup: steps; warmup_start."""
        return {**super().inputs(span), **warm_up(self.warmup_epochs, self.warmup_start_factor, span)}

    def at(self, at: Steps, n: Inputs, xp: ModuleType) -> Any:
        return warmed(at, n, xp) * self.share(at, n, xp)

    def share(self, at: Steps, n: Inputs, xp: ModuleType) -> Any:
        """The factor without the warm-up."""
        raise AssertionError(f"{type(self).__name__} has no share")

    def marks(self, n: Inputs) -> Sequence[float]:
        return (n["begin"] + n["warmup"],)


def warm_up(epochs: float, start: float, span: Span) -> dict[str, float]:
    """The inputs of `warmed`."""
    return {"warmup": max(span.steps(epochs), 0.0), "warmup_start": start}


def warmed(at: Steps, n: Inputs, xp: ModuleType) -> Any:
    """The factor of the warm-up. A step has what is reached at its end: the first one is not skipped."""
    return n["warmup_start"] + (1 - n["warmup_start"]) * xp.minimum((at + 1) / xp.maximum(n["warmup"], 1.0), 1.0)


def remaining(at: Steps, n: Inputs, xp: ModuleType) -> Any:
    """The share of the curve behind the warm-up that is left before a step: 1 in the first, above 0 in the last."""
    return xp.clip((n["horizon"] - at) / xp.maximum(n["horizon"] - n["warmup"], 1.0), 0.0, 1.0)


def towards(final: Any, share: Any) -> Any:
    """From 1 to `final` as `share` goes from 1 to 0."""
    return final + (1 - final) * share


def power(base: Any, exponent: Any, xp: ModuleType) -> Any:
    """`base ^ exponent`, above 0 though it is less than float32 can tell from it."""
    return xp.maximum(base**exponent, LEAST)


def half_cosine(share: Any, xp: ModuleType) -> Any:
    """(1 - cos(pi share)) / 2, without the loss of all digits near 0, where float32 would give 0."""
    sine = xp.sin(np.pi / 2 * share)
    return sine * sine


def behind(at: Steps, xp: ModuleType) -> Any:
    """A step, and so little more that what begins between two steps by rounding alone has begun."""
    return at * (1 + TOLERANCE[1]) + TOLERANCE[0]


def arrays(step: Any) -> ModuleType:
    """The library that a step is of."""
    return np if isinstance(step, np.ndarray | np.generic | int | float) else jnp


def number(step: Any, xp: ModuleType) -> Steps:
    """A whole number as one to compute with: of float32 in programs, of float64 on the host."""
    return xp.asarray(step, xp.float32 if xp is jnp or getattr(step, "dtype", None) == np.float32 else xp.float64)


def on_host(inputs: Inputs) -> dict[str, Any]:
    """Inputs as NumPy's."""
    return {name: np.asarray(value, np.float64) for name, value in inputs.items()}


SCHEDULES: Registry[Schedule] = Registry("schedule", example={"type": "cosine", "warmup_epochs": 1})
