"""Schedules that go down in stairs, or through given points."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from nets.errors import BrokenRule
from nets.schedules.base import (
    MOST_EPOCHS,
    SCHEDULES,
    Epochs,
    Inputs,
    SomeEpochs,
    Span,
    Steps,
    WarmedCurve,
    behind,
    power,
)
from nets.schedules.decay import Gamma
from nets.spec.fields import real, shown

FEWEST, MOST = 16, 256  # places of a row: programs depend on how many there are, doubled
NEVER = 3e38  # a step that does not come
GAMMA = Field(default=0.1, description="What the learning rate is multiplied by each time.")


def places(count: int) -> int:
    """Of a row that holds so many numbers."""
    return max(FEWEST, 1 << (count - 1).bit_length())


def row(values: Sequence[float], fill: float) -> tuple[float, ...]:
    """Numbers, filled up."""
    return (*values, *[fill] * (places(len(values)) - len(values)))


def rising(epochs: Sequence[float], came: object) -> None:
    """BrokenRule unless each is greater than the one before."""
    if any(b <= a for a, b in zip(epochs, epochs[1:], strict=False)):
        raise BrokenRule(f"must have its epochs in rising order, each once, got {shown(came)}", "malformed")


def milestones(value: tuple[float, ...]) -> tuple[float, ...]:
    rising(value, list(value))
    return value


def listed(value: object, what: str) -> list[Any]:
    """A list with something in it, and not too much."""
    if not isinstance(value, list | tuple):
        raise BrokenRule(f"must be a list of {what}, got {shown(value)}", "wrong_type")
    if not 1 <= len(value) <= MOST:
        code: Literal["too_short", "too_long"] = "too_long" if value else "too_short"
        raise BrokenRule(f"must be a list of 1 to {MOST} {what}, got {len(value)} of them", code)
    return list(value)


def pairs(value: object) -> tuple[tuple[float, float], ...]:
    """Pairs of an epoch and a factor."""
    found = []
    for item in listed(value, "pairs [epoch, factor]"):
        if not isinstance(item, list | tuple) or len(item) != 2:
            raise BrokenRule(
                f"must be pairs [epoch, factor] such as [[0, 1], [30, 0.1]], got {shown(item)}", "malformed"
            )
        epoch, factor = map(real, item)
        for name, number, most in (("an epoch", epoch, MOST_EPOCHS), ("a factor", factor, 1000)):
            if not 0 <= number <= most:
                raise BrokenRule(f"must have {name} from 0 to {most:,} in each pair, got {shown(item)}", "out_of_range")
        found.append((epoch, factor))
    rising([epoch for epoch, _ in found], value)
    return tuple(found)


@SCHEDULES.register
class Step(WarmedCurve):
    """`gamma` times as much every `step_epochs`. `torch.optim.lr_scheduler.StepLR`."""

    type: Literal["step"] = "step"
    step_epochs: SomeEpochs = Field(description="Epochs from one stair to the next.")
    gamma: Gamma = GAMMA

    examples = ({"type": "step", "step_epochs": 2, "gamma": 0.5},)
    also = ("step_decay",)
    aliases = {"step_size": "step_epochs"}

    def inputs(self, span: Span) -> dict[str, Any]:
        return {**super().inputs(span), "every": span.steps(self.step_epochs), "gamma": self.gamma}

    def share(self, at: Steps, n: Inputs, xp: ModuleType) -> Any:
        return power(n["gamma"], xp.floor(behind(at, xp) / n["every"]), xp)

    def marks(self, n: Inputs) -> Sequence[float]:
        """Stairs matter while the warm-up goes up."""
        stairs = min(int(n["warmup"] / n["every"]) + 1, MOST)
        return [*super().marks(n), *(n["begin"] + n["every"] * stair for stair in range(1, stairs + 1))]


@SCHEDULES.register
class MultiStep(WarmedCurve):
    """`gamma` times as much at each of `milestones_epochs`. `torch.optim.lr_scheduler.MultiStepLR`."""

    type: Literal["multistep"] = "multistep"
    milestones_epochs: Annotated[
        tuple[Epochs, ...],
        AfterValidator(milestones),
        BeforeValidator(lambda value: listed(value, "epochs")),
        Field(description="After how many epochs each stair begins; in rising order."),
    ]
    gamma: Gamma = GAMMA

    examples = ({"type": "multistep", "milestones_epochs": [2, 4], "gamma": 0.1},)
    also = ("multi_step",)
    aliases = {"milestones": "milestones_epochs"}

    def inputs(self, span: Span) -> dict[str, Any]:
        stairs = [span.steps(epochs) for epochs in self.milestones_epochs]
        return {**super().inputs(span), "milestones": row(stairs, NEVER), "gamma": self.gamma}

    def share(self, at: Steps, n: Inputs, xp: ModuleType) -> Any:
        return power(n["gamma"], passed(behind(at, xp), n["milestones"], xp), xp)

    def marks(self, n: Inputs) -> Sequence[float]:
        return [*super().marks(n), *(n["begin"] + n["milestones"][n["milestones"] < NEVER / 2])]

    def structure(self) -> Self:
        length = places(len(self.milestones_epochs))
        return super().structure().model_copy(update={"milestones_epochs": (0.0,) * length})


@SCHEDULES.register
class Piecewise(WarmedCurve):
    """Through given points: pairs of an epoch and what the learning rate is multiplied by there, beginning with
    `[0, 1]` unless they say otherwise. The last factor stays.
    """

    type: Literal["piecewise"] = "piecewise"
    points: Annotated[
        tuple[tuple[float, float], ...],
        BeforeValidator(pairs),
        WithJsonSchema(
            {
                "type": "array",
                "items": {"type": "array", "items": {"type": "number", "minimum": 0}, "minItems": 2, "maxItems": 2},
                "minItems": 1,
                "maxItems": MOST,
            }
        ),
        Field(description="Pairs `[epoch, factor]`, the epochs in rising order, such as `[[0, 1], [30, 0.1]]`."),
    ]
    interpolation: Literal["constant", "linear"] = Field(
        default="constant",
        description="Between two points: the factor of the one before, or a line, of which a step has the larger of "
        "the values at its beginning and at its end.",
    )

    examples = ({"type": "piecewise", "points": [[0, 0.1], [1, 1], [5, 0]], "interpolation": "linear"},)
    also = ("piecewise_constant", "piecewise_linear")

    def whole(self) -> tuple[tuple[float, float], ...]:
        """The points, from epoch 0 on."""
        return self.points if self.points[0][0] == 0 else ((0.0, 1.0), *self.points)

    def inputs(self, span: Span) -> dict[str, Any]:
        epochs, factors = zip(*self.whole(), strict=True)
        at = row([span.steps(epoch) for epoch in epochs], NEVER)
        return {**super().inputs(span), "points": at, "factors": row(factors, factors[-1])}

    def share(self, at: Steps, n: Inputs, xp: ModuleType) -> Any:
        if self.interpolation == "constant":
            return n["factors"][reached(behind(at, xp), n["points"], xp)]
        return xp.maximum(between(at, n, xp), between(at + 1, n, xp))

    def structure(self) -> Self:
        length = places(len(self.whole()))
        return super().structure().model_copy(update={"points": tuple((float(i), 1.0) for i in range(length))})

    def marks(self, n: Inputs) -> Sequence[float]:
        return [*super().marks(n), *(n["begin"] + n["points"][n["points"] < NEVER / 2])]


def passed(at: Steps, row: Any, xp: ModuleType) -> Any:
    """How many of a row have come."""
    return (xp.expand_dims(at, -1) >= row).sum(-1).astype(at.dtype)


def reached(at: Steps, row: Any, xp: ModuleType) -> Any:
    """The place in a row of the last one that has come."""
    return xp.maximum(passed(at, row, xp).astype(xp.int32) - 1, 0)


def between(at: Steps, n: Inputs, xp: ModuleType) -> Any:
    """On the line between two points; the row ends with points that are never reached."""
    steps, factors = n["points"], n["factors"]
    place = reached(at, steps, xp)
    following = xp.minimum(place + 1, len(steps) - 1)
    way = (at - steps[place]) / xp.maximum(steps[following] - steps[place], 1e-6)
    return factors[place] + (factors[following] - factors[place]) * xp.clip(way, 0.0, 1.0)
