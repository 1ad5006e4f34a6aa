"""Arrays that are lent: to whom, and whether they fit there."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from nets.architecture.expand import Draw, Placed
from nets.architecture.graph import Node
from nets.architecture.written import Written
from nets.errors import Change, Path, Problem
from nets.spec.values import Shape, described


def lender_of(one: Placed, by_draw: Mapping[Draw, Placed]) -> str | Problem | None:
    """The id of the layer whose arrays another uses in the end; None for its own."""
    at, seen = one, {one.draw}
    while at.lender is not None:
        lender = by_draw.get(at.lender)
        if lender is None or lender.item.type != at.item.type or lender.draw in seen:
            sharer = one.sharer or one.item
            rule = f"{one.item.label} has no {one.item.type} in its place in '{sharer.shares}'"
            return Problem((*sharer.shown, "shares"), f"{rule}; give both the same layers", "misfit")
        seen.add(lender.draw)
        at = lender
    return at.id if at is not one else None


def check_lent(
    nodes: Mapping[str, Node], sharers: Mapping[str, Written], *, exclude: Collection[str]
) -> Iterator[tuple[str, Problem]]:
    """Nodes whose own arrays would have other shapes than those that they are lent."""
    for name, node in nodes.items():
        lender = node.shares and nodes.get(node.shares)
        if not lender or {name, lender.id} & set(exclude):
            continue
        own, lent = shapes(node), shapes(lender)
        differs = next((what for what in {**own, **lent} if own.get(what) != lent.get(what)), None)
        if differs:
            sharer = sharers[name]
            rule = f"the {differs} of '{sharer.shares}' is {told(lent.get(differs))}, and {node.place} needs "
            detail = f"{rule}{told(own.get(differs))}; give both inputs and fields of the same sizes"
            yield name, Problem((*sharer.shown, "shares"), detail, "misfit")


def check_worth(nodes: Mapping[str, Node], sharers: Mapping[str, Written]) -> Iterator[Problem]:
    """Layers that share arrays and have none."""
    uses: dict[Path, bool] = {}
    for name, sharer in sharers.items():
        uses[sharer.shown] = uses.get(sharer.shown, False) or nodes[name].shares is not None
    for sharer in {sharer.shown: sharer for sharer in sharers.values() if not uses[sharer.shown]}.values():
        rule = f"{sharer.type} has no weights to share; leave shares out"
        place = (*sharer.shown, "shares")
        yield Problem(place, rule, "unused", expected={"type": "null"}, fix=(Change("remove", place),))


def told(shape: Shape | None) -> str:
    return "none" if shape is None else described(shape)


def shapes(node: Node) -> dict[str, Shape]:
    """Of all arrays that a node would have for itself."""
    arrays = node.layer.arrays(*node.takes)
    return {name: array.shape for name, array in {**arrays.parameters, **arrays.statistics}.items()}
