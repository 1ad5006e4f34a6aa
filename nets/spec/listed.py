"""JSON to a checked list of what a registry names."""

from __future__ import annotations

from typing import TypeVar

from nets.errors import Change, Path, Problem, SpecError
from nets.spec.fields import got, only, shown
from nets.spec.registry import Registry, Typed

S = TypeVar("S", bound=Typed)


def parse_list(registry: Registry[S], value: object, path: Path, *, most: int) -> tuple[S, ...]:
    """The specifications of a list, null for none; SpecError with every problem in them."""
    if value is None:
        return ()
    if not isinstance(value, list | tuple):
        raise SpecError([no_list(registry, value, path)])
    if len(value) > most:
        rule = f"must have at most {most} items, got {len(value)}"
        raise SpecError([Problem(path, rule, "too_long", expected={"type": "array", "maxItems": most})])
    found: list[S] = []
    problems: list[Problem] = []
    for number, each in enumerate(value):
        try:
            found.append(registry.parse(each, (*path, number)))
        except SpecError as error:
            problems += error.problems
    if problems:
        raise SpecError(problems)
    return tuple(found)


def no_list(registry: Registry[S], value: object, path: Path) -> Problem:
    """What is no list: one by itself, or the mere name of one, becomes a list of one."""
    name = only(registry.near(value))
    fix: tuple[Change, ...] = ()
    cure = f", such as [{shown(registry.example)}]"
    if isinstance(value, dict):
        cure, fix = "; put it into a list", (Change("replace", path, [value]),)
    elif name is not None:
        cure, fix = f"; write {shown([{'type': name}])}", (Change("replace", path, [{"type": name}]),)
    rule = f"must be a list of {registry.what}s{got(value)}{cure}"
    return Problem(path, rule, "wrong_type", expected={"type": "array"}, fix=fix)
