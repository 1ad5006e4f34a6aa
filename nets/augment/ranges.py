"""Fields of augmentations that are a range to draw from: one number, or its two ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from nets.errors import BrokenRule
from nets.spec.fields import Real, shown

Ends = tuple[float, float]


def _pair(value: object, of_one: Callable[[float], Ends]) -> Any:
    if isinstance(value, list | tuple):
        if len(value) != 2:
            raise BrokenRule(f"must be a number or a pair [low, high], got {shown(value)}", "malformed")
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BrokenRule(f"must be a number or a pair [low, high], got {shown(value)}", "wrong_type")
    if value < 0:
        raise BrokenRule(f"must be at least 0, or a pair [low, high], got {shown(value)}", "out_of_range")
    return of_one(value)


def ordered(value: Ends) -> Ends:
    """The two ends of a range, the lower one first."""
    if value[0] > value[1]:
        rule = f"must have its lower end first, got {shown(list(value))}"
        raise BrokenRule(rule, "malformed", set_to=[value[1], value[0]])
    return value


def schema(least: float, most: float) -> dict[str, Any]:
    """A number, or a pair of them, as JSON Schema."""
    one = {"type": "number", "minimum": least, "maximum": most}
    single = {**one, "minimum": max(least, 0)}
    return {"anyOf": [{"type": "array", "items": one, "minItems": 2, "maxItems": 2}, single]}


def around_0(value: object) -> Any:
    """A number as the range from its negative to it."""
    return _pair(value, lambda each: (-each, each))


def around_1(value: object) -> Any:
    """A number as the range of factors that differ from 1 by it at most."""
    return _pair(value, lambda each: (max(0.0, 1 - each), 1 + each))


def single(value: object) -> Any:
    """A number as the range of it alone."""
    return _pair(value, lambda each: (each, each))


Angle = Annotated[Real, Field(ge=-360, le=360)]
Slant = Annotated[Real, Field(gt=-90, lt=90)]
Factor = Annotated[Real, Field(ge=0, le=100)]
Positive = Annotated[Real, Field(gt=0, le=100)]
Share = Annotated[Real, Field(gt=0, le=1)]
Turn = Annotated[Real, Field(ge=-0.5, le=0.5)]

# A number of degrees is the range from minus to plus; of a factor, that it differs from 1 by; as in torchvision.
Angles = Annotated[
    tuple[Angle, Angle], BeforeValidator(around_0), AfterValidator(ordered), WithJsonSchema(schema(-360, 360))
]
Slants = Annotated[
    tuple[Slant, Slant], BeforeValidator(around_0), AfterValidator(ordered), WithJsonSchema(schema(-89.9, 89.9))
]
Factors = Annotated[
    tuple[Factor, Factor], BeforeValidator(around_1), AfterValidator(ordered), WithJsonSchema(schema(0, 100))
]
Scales = Annotated[
    tuple[Positive, Positive], BeforeValidator(single), AfterValidator(ordered), WithJsonSchema(schema(0.01, 100))
]
Sigmas = Scales
Shares = Annotated[
    tuple[Share, Share], BeforeValidator(single), AfterValidator(ordered), WithJsonSchema(schema(0.0001, 1))
]
Turns = Annotated[
    tuple[Turn, Turn], BeforeValidator(around_0), AfterValidator(ordered), WithJsonSchema(schema(-0.5, 0.5))
]
