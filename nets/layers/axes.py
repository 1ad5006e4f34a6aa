"""Axes of a value as a client names them: by a name, or by a number as in PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

from nets.errors import BrokenRule
from nets.spec.fields import did_you_mean, shown, suggested
from nets.spec.values import AXES, Value

MOST_AXES = 3  # of a value, without the batch
IN_ARRAYS: Mapping[str, str] = {"channels": "C", "features": "C", "height": "H", "width": "W", "length": "T"}
NUMBERS = range(-MOST_AXES, MOST_AXES + 1)


def axis(value: object) -> object:
    """The name of an axis, or its number with the batch as axis 0."""
    if value is None or (isinstance(value, str) and value in IN_ARRAYS):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool) and value in NUMBERS:
        return int(value)
    known = ", ".join(IN_ARRAYS)
    raise BrokenRule(
        f"must be one of {known}, or a number of -3 to 3 as in PyTorch (1: channels), got {shown(value)}."
        f"{did_you_mean(value, IN_ARRAYS)}",
        "not_one_of",
        suggestion=suggested(value, IN_ARRAYS),
    )


AXIS = {
    "anyOf": [
        {"enum": list(IN_ARRAYS)},
        {"type": "integer", "minimum": -MOST_AXES, "maximum": MOST_AXES},
        {"type": "null"},
    ]
}
Axis = Annotated[str | int | None, BeforeValidator(axis), WithJsonSchema(AXIS)]


def place_of(axis: str | int, value: Value) -> int | None:
    """Which axis of a value's shape is meant; None where it has no such axis."""
    names = AXES[value.kind]
    if isinstance(axis, str):
        return names.index(axis) if axis in names else None
    number = axis - 1 if axis > 0 else axis + len(names)
    return number if axis and 0 <= number < len(names) else None


def in_arrays(value: Value, place: int) -> str:
    """The letter that an axis of a value's shape has in the layout of an array: `C`, `H`, `W`, `T`."""
    return IN_ARRAYS[AXES[value.kind][place]]


def axes_of(value: Value) -> dict[str, object]:
    """The axes that a value has, by name and by number, as JSON Schema."""
    names = AXES[value.kind]
    return {"enum": [*names, *range(1, len(names) + 1)]}
