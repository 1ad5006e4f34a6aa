"""Places of canonical JSON as a request has them, where fields may come by other names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from nets.errors import UNSAID, Change, Path, Problem, found_at

Names = Callable[[Path, Mapping[str, Any]], Mapping[str, str]]  # of the object at a place: other names to its own ones


def followed(path: Path, body: Any, names: Names) -> tuple[Path, Path]:
    """A place by the names that came, as far as there is something, and the rest of it."""
    at, found = body, Path()
    for index, part in enumerate(path):
        if isinstance(part, str) and isinstance(at, dict) and part not in at:
            others = names(path[:index], at)
            part = next((name for name, own in others.items() if own == part and name in at), part)
        at = found_at(at, (part,))
        if at is UNSAID:
            return found, path[index:]
        found = (*found, part)
    return found, ()


def in_words_of(body: Any, problem: Problem, names: Names, root: Path = ()) -> Problem:
    """A problem at the place that the client knows. root: where in the request `body` is."""

    def told(path: Path) -> Path:
        if path[: len(root)] != root:
            return path
        came, rest = followed(path[len(root) :], body, names)
        return (*root, *came, *rest)

    def changed(change: Change) -> Change:
        return replace(change, path=told(change.path), source=change.source and told(change.source))

    return replace(problem, path=told(problem.path), fix=tuple(map(changed, problem.fix)))
