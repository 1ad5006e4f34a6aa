"""JSON to a checked list of augmentations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nets.augment.base import AUGMENTATIONS, Augmentation
from nets.errors import Change, Path, Problem, SpecError
from nets.spec.listed import parse_list

MOST_AUGMENTATIONS = 16


def parse_augment(value: object, path: Path) -> tuple[Augmentation, ...]:
    """The augmentations of a list, null for none; SpecError with every problem."""
    found = parse_list(AUGMENTATIONS, value, path, most=MOST_AUGMENTATIONS)
    if problems := list(twice(found, path)):
        raise SpecError(problems)
    return found


def twice(found: Sequence[Augmentation], path: Path) -> Iterator[Problem]:
    """Those that mix come once: a step is mixed by one of them."""
    seen: set[str] = set()
    for number, each in enumerate(found):
        if each.mixes and each.type in seen:
            rule = f"is the second {each.type}, and each step is mixed once; remove one of them"
            yield Problem((*path, number), rule, "duplicate", fix=(Change("remove", (*path, number)),))
        seen.add(each.type)
