"""Fields of a loss that have one number for each class: a list, one number for all, or what makes classes alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BeforeValidator, Field, WithJsonSchema

from nets.errors import BrokenRule
from nets.spec.fields import check_float32, real, shown

LARGEST = 1e6
BALANCED = "balanced"
MOST_CLASSES = 10_000
ByClass = tuple[float, ...]
NUMBER = {"type": "number", "minimum": 0, "maximum": LARGEST}
LIST = {"type": "array", "items": NUMBER, "minItems": 2}
NULL = {"type": "null"}


def by_class(value: object) -> object:
    """A list of numbers, not all 0; or `balanced`."""
    if value is None or value == BALANCED:
        return value
    if not isinstance(value, list | tuple):
        rule = f'must be a list of one number for each class, or "{BALANCED}"'
        raise BrokenRule(f"{rule}, got {shown(value)}", "wrong_type")
    if not 2 <= len(value) <= MOST_CLASSES:
        detail = f"must have one number for each class, 2 to {MOST_CLASSES}, got {len(value)}"
        raise BrokenRule(detail, "malformed")
    numbers = tuple(within(number) for number in value)
    if not any(numbers):
        raise BrokenRule("must have a number above 0, got only 0", "out_of_range")
    return numbers


def by_class_or_one(value: object) -> object:
    """The same, or one number for all classes."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return within(value) if is_number else by_class(value)


def within(value: object) -> float:
    """A number that a class may have."""
    number = real(value)
    if not 0 <= number <= LARGEST:
        raise BrokenRule(f"must be numbers from 0 to {LARGEST:g}, got {shown(value)}", "out_of_range")
    check_float32(number, above=(), below=())
    return number


Weights = Annotated[
    ByClass | Literal["balanced"] | None,
    BeforeValidator(by_class),
    WithJsonSchema({"anyOf": [LIST, {"const": BALANCED}, NULL]}),
]
Undivided = Annotated[
    Weights,
    Field(
        description='How much each class counts: a list in their order, or `"balanced"`, as that of `cross_entropy`; '
        "the mean does not divide by them."
    ),
]
Factors = Annotated[
    float | ByClass | Literal["balanced"] | None,
    BeforeValidator(by_class_or_one),
    WithJsonSchema({"anyOf": [NUMBER, LIST, {"const": BALANCED}, NULL]}),
]


def per_class_numbers(
    value: Any, counts: Sequence[int] | np.ndarray, *, by: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """One float32 for each class. by: what `balanced` stands for, of how many training samples each class has."""
    if value == BALANCED:
        return by(np.asarray(counts)).astype(np.float32)
    return np.array(np.broadcast_to(np.asarray(value, np.float32), len(counts)))


def counted_as(share: float | np.ndarray, counts: np.ndarray) -> np.ndarray:
    """`share / counts`; a class without a sample counts as one with a single one."""
    found: np.ndarray = share / np.maximum(counts, 1)
    return found
