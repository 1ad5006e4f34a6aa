"""Rules that look at each epoch from outside the compiled programs, and what they remember."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

Json = dict[str, Any]
Values = Mapping[str, float]  # what was measured of an epoch, by name, such as val_loss


class Rule(Protocol):
    """One of them. What it remembers is part of a snapshot: a run that goes on decides as if never stopped.

    name: unique among the rules of a run.
    """

    @property
    def name(self) -> str: ...

    def see(self, values: Values) -> None:
        """An epoch has ended."""

    def state(self) -> Json:
        """All that it remembers, as JSON."""

    def go_on(self, state: Json) -> None:
        """Remember what another one did."""


def states(rules: Iterable[Rule]) -> dict[str, Json]:
    """What each of them remembers, by name."""
    return {rule.name: rule.state() for rule in rules}


def restore(rules: Iterable[Rule], states: Mapping[str, Json]) -> None:
    """Have each remember what the one of its name did; one without a state begins."""
    for rule in rules:
        if rule.name in states:
            rule.go_on(states[rule.name])
