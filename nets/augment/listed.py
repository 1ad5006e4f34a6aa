"""JSON to a checked list of augmentations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nets.augment.base import AUGMENTATIONS, Augmentation
from nets.errors import Change, Path, Problem, SpecError
from nets.spec.fields import shown

MOST_AUGMENTATIONS = 16


def parse_augment(value: object, path: Path) -> tuple[Augmentation, ...]:
    """The augmentations of a list, null for none; SpecError with every problem."""
    if value is None:
        return ()
    if not isinstance(value, list | tuple):
        raise SpecError([no_list(value, path)])
    if len(value) > MOST_AUGMENTATIONS:
        rule = f"must have at most {MOST_AUGMENTATIONS} items, got {len(value)}"
        raise SpecError([Problem(path, rule, "too_long", expected={"type": "array", "maxItems": MOST_AUGMENTATIONS})])
    found: list[Augmentation] = []
    problems: list[Problem] = []
    for number, each in enumerate(value):
        try:
            found.append(AUGMENTATIONS.parse(each, (*path, number)))
        except SpecError as error:
            problems += error.problems
    if not problems:
        problems += twice(found, path)
    if problems:
        raise SpecError(problems)
    return tuple(found)


def no_list(value: object, path: Path) -> Problem:
    """What is no list; one augmentation by itself becomes a list of one."""
    one = isinstance(value, dict)
    cure = "; put it into a list" if one else f", such as [{shown(AUGMENTATIONS.example)}]"
    fix = (Change("replace", path, [value]),) if one else ()
    rule = f"must be a list of augmentations, got {shown(value)}{cure}"
    return Problem(path, rule, "wrong_type", expected={"type": "array"}, fix=fix)


def twice(found: Sequence[Augmentation], path: Path) -> Iterator[Problem]:
    """Those that mix come once: a step is mixed by one of them."""
    seen: set[str] = set()
    for number, each in enumerate(found):
        if each.mixes and each.type in seen:
            rule = f"is the second {each.type}, and each step is mixed once; remove one of them"
            yield Problem((*path, number), rule, "duplicate", fix=(Change("remove", (*path, number)),))
        seen.add(each.type)
