"""Names of layers, and which of them a layer can read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from nets.architecture.graph import INPUT
from nets.architecture.written import NETWORK_INPUT, Ref
from nets.spec.fields import shown
from nets.spec.words import closest

LONGEST = 64
NAMELESS = 'give the layer that you mean a "name"'
MOST_LOOKED_AT = 256  # names, for one that is nearly so
MOST_HINTS = 20  # names that nobody has, for which others are looked through


def name_of(item: object) -> str | None:
    """The name of a layer as a client sent it; None where it has none that may be used."""
    name = item.get("name") if isinstance(item, dict) else None
    return name if isinstance(name, str) and not rule_of_names(name) else None


def rule_of_names(name: object) -> str:
    """Which rule a name breaks, in words; nothing for a good one."""
    if not isinstance(name, str):
        return f"must be a string, got {shown(name)}"
    if name == INPUT:
        return f'"{INPUT}" is the network\'s input; choose another name'
    if not 1 <= len(name) <= LONGEST:
        return f"must have 1 to {LONGEST} characters, got {len(name)}"
    if not name.isprintable() or {".", "/"} & set(name):
        return f"must be printable and have no dot and no slash, got {shown(name)}"
    return ""


class Scope:
    """A list of layers while it is read: who is called what, and who is read.

    outer: the list that this one is inside of, by a combinator at place `at`.
    """

    def __init__(self, listed: Sequence[Any], *, outer: Scope | None = None, at: int = -1) -> None:
        self.listed = listed
        self.outer = outer
        self.at = at
        self.depth: int = 0 if outer is None else outer.depth + 1
        self.read: set[int] = set()
        self.open = False
        self.names: dict[str, int] = {}
        self.hints: list[str] = [] if outer is None else outer.hints  # names that hints were given for
        for index, item in enumerate(listed):
            if name := name_of(item):
                self.names.setdefault(name, index)

    @cached_property
    def rules(self) -> Mapping[int, str]:
        """Which rules the names of which layers break."""
        automatic = {
            f"{item.get('type')}_{index}": index
            for index, item in enumerate(self.listed)
            if isinstance(item, dict) and not name_of(item)
        }
        found = {}
        for index, item in enumerate(self.listed):
            name = item.get("name") if isinstance(item, dict) else None
            if name is None:
                continue
            if rule := rule_of_names(name):
                found[index] = rule
            elif self.names[name] != index:
                found[index] = f"{shown(name)} is the name of layers[{self.names[name]}] already; choose another"
            elif name in automatic:
                found[index] = (
                    f"{shown(name)} is what layers[{automatic[name]}] is called without a name; choose another"
                )
        return found

    def name(self, index: int) -> str | None:
        """What a layer is called; None without a name that can be used."""
        return None if index in self.rules else name_of(self.listed[index])

    def find(self, name: str) -> tuple[Scope, int] | None:
        """Whom a name means: a layer of this list, else of the nearest list around it."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.names:
                return scope, scope.names[name]
            scope = scope.outer
        return None

    def inside(self, scope: Scope, index: int) -> bool:
        """Whether this list is part of that layer."""
        here: Scope | None = self
        while here is not None and here.outer is not None:
            if here.outer is scope and here.at == index:
                return True
            here = here.outer
        return False

    def ref(self, name: str) -> Ref | None:
        if name == INPUT:
            return NETWORK_INPUT
        found = self.find(name)
        return found and Ref(found[0].depth, found[1])

    def mark(self, ref: Ref) -> None:
        """Somebody reads it."""
        scope = self
        while scope.depth > ref.depth:
            assert scope.outer is not None
            scope = scope.outer
        if ref.index < 0:
            scope.open = True
        else:
            scope.read.add(ref.index)

    def unknown(self, name: str) -> str:
        """What to say about a name that nobody has."""
        rule = f"{shown(name)} is not the name of a layer"
        if len(self.hints) >= MOST_HINTS:
            return rule
        self.hints.append(name)
        known = self.visible()[:MOST_LOOKED_AT]
        guesses = closest(name, known)
        for guess in guesses:
            if ref := self.ref(guess):
                self.mark(ref)  # most likely it is meant: that nobody reads it would be said in vain
        if nameless := self.automatic(name):
            return f'{rule}; {nameless} has none: give it "name": {shown(name)}'
        if guesses:
            return f"{rule}. Did you mean '{guesses[0]}'?"
        cure = f"names that can be used here: {cut(', '.join(known))}" if known else ""
        return f"{rule}; {cure or NAMELESS}"

    def automatic(self, name: str) -> str:
        """The layer without a name that weight files call so."""
        kind, _, number = name.rpartition("_")
        if not (number.isascii() and number.isdigit() and len(number) < 6 and int(number) < len(self.listed)):
            return ""
        item = self.listed[int(number)]
        if not isinstance(item, dict) or item.get("type") != kind or name_of(item):
            return ""
        self.read.add(int(number))
        return f"layers[{int(number)}]"

    def visible(self) -> list[str]:
        names: list[str] = []
        scope: Scope | None = self
        while scope is not None:
            names += scope.names
            scope = scope.outer
        return names


def cut(text: str, limit: int = 200) -> str:
    return text if len(text) <= limit else f"{text[:limit]}..."
