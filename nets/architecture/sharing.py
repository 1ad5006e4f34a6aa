"""Layers that use the arrays of others: whose, and what they take over from there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nets.architecture.common import KEPT, Common
from nets.architecture.names import Scope
from nets.architecture.written import Ref, Written
from nets.errors import BrokenRule
from nets.spec.allowed import one_of

ELSEWHERE = {*KEPT, *Common.model_fields, "type"}


@dataclass(frozen=True)
class Loan:
    """Whose arrays a layer shares, and the fields that it has from there."""

    lender: Ref | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)


def loan(item: Written, scope: Scope, index: int, aliases: Mapping[str, str]) -> Loan:
    """What `shares` of a layer means. BrokenRule where it cannot be."""
    assert item.shares
    found = scope.find(item.shares)
    if found is None:
        raise scope.unknown(item.shares)
    chain = [(scope, index)]
    while found is not None and found not in chain:
        chain.append(found)
        found = lender_of(*found)
    if found is not None:
        if found == chain[0]:
            circle = " -> ".join(called(*one) for one in [*chain, found])
            raise BrokenRule(f"leads back to the layer itself: {circle}; leave shares of one of them out", "cycle")
        return Loan()  # into a circle of others, which is told of there
    if scope.inside(*chain[1]):
        raise BrokenRule(f'"{item.shares}" contains this layer; name another', "cycle")
    own = {aliases.get(name, name) for name in scope.listed[index]}
    fields: dict[str, Any] = {}
    for at, (owner, place) in enumerate(chain[1:], 1):
        sent = owner.listed[place]
        if sent.get("type") != item.type:
            if at == 1 and isinstance(sent.get("type"), str):
                cure = f"name a {item.type}"
                rule = f'"{item.shares}" is a {sent["type"]}, not a {item.type}; {cure}, or leave shares out'
                raise BrokenRule(rule, "misfit", expected=one_of(scope.called(item.type)))
            return Loan()
        for name, part in sent.items():
            if name not in ELSEWHERE and aliases.get(name, name) not in own:
                fields.setdefault(aliases.get(name, name), part)
    owner, place = chain[1]
    return Loan(Ref(owner.depth, place), fields)


def lender_of(scope: Scope, index: int) -> tuple[Scope, int] | None:
    name = scope.listed[index].get("shares")
    return scope.find(name) if isinstance(name, str) else None


def called(scope: Scope, index: int) -> str:
    name = scope.listed[index].get("name")
    return name if isinstance(name, str) else f"layers[{index}]"
