"""JSON to a checked list of regularizers."""

from __future__ import annotations

from nets.errors import Change, Path, Problem, SpecError
from nets.regularizers.base import REGULARIZERS, Regularizer
from nets.spec.fields import shown

MOST_REGULARIZERS = 16


def parse_regularizers(value: object, path: Path) -> tuple[Regularizer, ...]:
    """The regularizers of a list, null for none; SpecError with every problem."""
    if value is None:
        return ()
    if not isinstance(value, list | tuple):
        one = isinstance(value, dict)
        cure = "; put it into a list" if one else f", such as [{shown(REGULARIZERS.example)}]"
        fix = (Change("replace", path, [value]),) if one else ()
        rule = f"must be a list of regularizers, got {shown(value)}{cure}"
        raise SpecError([Problem(path, rule, "wrong_type", expected={"type": "array"}, fix=fix)])
    if len(value) > MOST_REGULARIZERS:
        rule = f"must have at most {MOST_REGULARIZERS} items, got {len(value)}"
        raise SpecError([Problem(path, rule, "too_long", expected={"type": "array", "maxItems": MOST_REGULARIZERS})])
    found: list[Regularizer] = []
    problems: list[Problem] = []
    for number, each in enumerate(value):
        try:
            found.append(REGULARIZERS.parse(each, (*path, number)))
        except SpecError as error:
            problems += error.problems
    if problems:
        raise SpecError(problems)
    return tuple(found)
