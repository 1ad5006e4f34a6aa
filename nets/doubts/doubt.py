"""What is legal and seldom meant: where it stands in a request, why it is doubted, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from typing_extensions import TypedDict

from nets.errors import Path, place, pointer
from nets.hyperparams.parts import names_at
from nets.layers import LAYERS
from nets.spec.sent import followed

MOST_PLACES = 100  # told of one doubt
EPSILON = 1e-9  # by which quotients of decimal numbers may be off


class DoubtJson(TypedDict):
    """A warning that experience gives. `pointer`: a JSON pointer into the body; `pointers`: all places where the same
    holds, this one first; `path`: the place as a person writes it; `rule`: its name in the table of the README.
    """

    rule: str
    pointer: str
    path: str
    reason: str
    cure: str
    pointers: list[str]


@dataclass(frozen=True)
class Doubt:
    """One thing of a request that is legal and seldom meant. also: other places of which the same is said."""

    rule: str
    path: Path
    reason: str
    cure: str
    also: tuple[Path, ...] = ()

    def __str__(self) -> str:
        """`place: reason; cure`."""
        more = len(self.also)
        same = f" (and at {more} other place{'s' * (more > 1)})" if more else ""
        return f"{place(self.path)}{same}: {self.reason}; {self.cure}"

    def to_json(self) -> DoubtJson:
        """As clients read it."""
        return {
            "rule": self.rule,
            "pointer": pointer(self.path),
            "path": place(self.path),
            "reason": self.reason,
            "cure": self.cure,
            "pointers": [pointer(path) for path in (self.path, *self.also)][:MOST_PLACES],
        }

    def seen_in(self, body: Mapping[str, Any]) -> Doubt:
        """The same with the places that a body has for it."""
        return replace(self, path=as_sent(self.path, body), also=tuple(as_sent(path, body) for path in self.also))


def grouped(doubts: Iterable[Doubt]) -> list[Doubt]:
    """One for all places of which the same is said; equal layers of one block, or of repeated ones, stand in one."""
    found: dict[tuple[str, str, str], list[Path]] = {}
    for doubt in doubts:
        found.setdefault((doubt.rule, doubt.reason, doubt.cure), []).append(doubt.path)
    return [
        Doubt(rule, first, reason, cure, tuple(path for path in dict.fromkeys(others) if path != first))
        for (rule, reason, cure), (first, *others) in found.items()
    ]


def as_sent(path: Path, body: Mapping[str, Any]) -> Path:
    """A place of the canonical JSON as a body has it: by the names that came, and not inside of layers that did not."""
    found, lost = followed(path, body, names_in)
    inside = any(isinstance(each, int) for each in lost)
    return found if found and inside else (*found, *lost)


def names_in(place: Path, fields: Mapping[str, Any]) -> Mapping[str, str]:
    """The other names that fields of an object at a place of a body may come by."""
    if place[:1] == ("hyperparams",):
        return names_at(place[1:], fields)
    kind = fields.get("type")
    name = LAYERS.named(kind) if isinstance(kind, str) else None
    return LAYERS[name].aliases if name else {}
