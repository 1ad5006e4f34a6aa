"""Names of layers, and which of them a layer can read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

from nets.architecture.graph import INPUT
from nets.architecture.written import NETWORK_INPUT, Ref
from nets.errors import UNSAID, BrokenRule
from nets.spec.allowed import one_of
from nets.spec.fields import shown
from nets.spec.words import closest

LONGEST = 64
NAME = {"type": "string", "minLength": 1, "maxLength": LONGEST, "pattern": r"^[^./]*$"}
MOST_LISTED = 64  # names, for programs
NAMELESS = 'give the layer that you mean a "name"'
MOST_LOOKED_AT = 256  # names, for one that is nearly so
MOST_HINTS = 20  # names that nobody has, for which others are looked through


def name_of(item: object) -> str | None:
    """The name of a layer as a client sent it; None where it has none that may be used."""
    name = item.get("name") if isinstance(item, dict) else None
    return name if isinstance(name, str) and not rule_of_names(name) else None


def rule_of_names(name: object) -> BrokenRule | None:
    """Which rule a name breaks; None for a good one."""
    if not isinstance(name, str):
        return BrokenRule(f"must be a string, got {shown(name)}", "wrong_type", expected=NAME)
    if name == INPUT:
        rule = f'"{INPUT}" is the network\'s input; choose another name'
        return BrokenRule(rule, "conflict", expected={**NAME, "not": {"const": INPUT}})
    if not 1 <= len(name) <= LONGEST:
        rule = f"must have 1 to {LONGEST} characters, got {len(name)}"
        return BrokenRule(rule, "too_long" if name else "too_short", expected=NAME)
    if not name.isprintable() or {".", "/"} & set(name):
        rule = f"must be printable and have no dot and no slash, got {shown(name)}"
        return BrokenRule(rule, "malformed", expected=NAME)
    return None


def taken(rule: str, others: Iterable[str]) -> BrokenRule:
    """A name that another layer has."""
    return BrokenRule(rule, "duplicate", expected={**NAME, "not": one_of(list(others)[:MOST_LISTED])})


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
    def rules(self) -> Mapping[int, BrokenRule]:
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
                other = f"{shown(name)} is the name of layers[{self.names[name]}] already; choose another"
                found[index] = taken(other, self.names)
            elif name in automatic:
                other = f"{shown(name)} is what layers[{automatic[name]}] is called without a name; choose another"
                found[index] = taken(other, [name])
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

    def unknown(self, name: str) -> BrokenRule:
        """What to say about a name that nobody has."""
        rule = f"{shown(name)} is not the name of a layer"
        if len(self.hints) >= MOST_HINTS:
            return BrokenRule(rule, "unknown_name", expected=one_of(self.visible()[:MOST_LISTED]))
        self.hints.append(name)
        known = self.visible()[:MOST_LOOKED_AT]
        guesses = closest(name, known)
        for near in guesses:
            if ref := self.ref(near):
                self.mark(ref)  # most likely it is meant: that nobody reads it would be said in vain
        guess: str | None = guesses[0] if guesses else None
        if nameless := self.automatic(name):
            rule, guess = f'{rule}; {nameless} has none: give it "name": {shown(name)}', None
        elif guess is not None:
            rule = f"{rule}. Did you mean '{guess}'?"
        else:
            cure = f"names that can be used here: {cut(', '.join(known))}" if known else ""
            rule = f"{rule}; {cure or NAMELESS}"
        set_to = UNSAID if guess is None else guess
        return BrokenRule(rule, "unknown_name", expected=one_of(known[:MOST_LISTED]), suggestion=guess, set_to=set_to)

    def called(self, kind: str) -> list[str]:
        """The names that can be used here of layers of a type."""
        found = [(name, self.find(name)) for name in self.visible()[:MOST_LOOKED_AT]]
        return [name for name, at in found if at and at[0].listed[at[1]].get("type") == kind]

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
