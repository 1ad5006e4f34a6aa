"""Which arrays of a network are changed by which numbers, and which stay as they are."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nets.architecture.graph import Graph
from nets.errors import Path, Problem
from nets.hyperparams.hyperparams import Hyperparams
from nets.layers.groups import group_of
from nets.optimizers.groups import first_of, matches, names_array
from nets.spec.allowed import one_of
from nets.spec.fields import did_you_mean, shown, suggested

Place = tuple[str, str]  # of an array: layer and name
MOST_LISTED = 40  # names of layers in a message
FROZEN: Path = ("hyperparams", "frozen")


@dataclass(frozen=True)
class Members:
    """Arrays that are changed by the same numbers.

    factors: the place in `Hyperparams.groups` of what these are multiplied by. decays: whether weight decay reaches
    them.
    """

    arrays: frozenset[Place]
    factors: int | None
    decays: bool

    def has(self, layer: str, name: str) -> bool:
        return (layer, name) in self.arrays


def members_of(hyperparams: Hyperparams, graph: Graph) -> tuple[Members, ...]:
    """All arrays that training changes, by what changes them; nothing where one rule changes all of them."""
    if not (hyperparams.groups or hyperparams.frozen or hyperparams.weight_decay_exclude):
        return ()
    groups, excludes = [each.layers for each in hyperparams.groups], hyperparams.weight_decay_exclude is not None
    found: dict[tuple[int | None, bool], set[Place]] = {}
    for node in graph.nodes:
        norm = group_of(type(node.layer)) == "norm"
        for name in node.arrays.parameters:
            if not is_frozen(hyperparams, node.id, name):
                decays = not (excludes and (norm or "bias" in name))
                found.setdefault((first_of(groups, node.id, name), decays), set()).add((node.id, name))
    # In an order that does not depend on how layers come: what is kept of them is filed by it.
    order = sorted(found, key=lambda key: (key[0] is not None, key[0] or 0, not key[1]))
    return tuple(Members(frozenset(found[key]), *key) for key in order)


def is_frozen(hyperparams: Hyperparams, layer: str, array: str) -> bool:
    """Whether training leaves an array of a layer as it is."""
    return any(names_array(pattern, layer, array) for pattern in hyperparams.frozen)


def all_frozen(hyperparams: Hyperparams, patterns: Sequence[str], graph: Graph) -> bool:
    """Whether training leaves all arrays that patterns name as they are."""
    named = named_by(patterns, arrays_of(graph))
    return bool(named) and all(is_frozen(hyperparams, *each) for each in named)


def arrays_of(graph: Graph) -> list[Place]:
    """All trained arrays of a network."""
    return [(node.id, name) for node in graph.nodes for name in node.arrays.parameters]


def share_of_trained(members: Sequence[Members], graph: Graph) -> float:
    """How many of all trained numbers of a network belong to these."""
    sizes = {(node.id, name): math.prod(p.shape) for node in graph.nodes for name, p in node.arrays.parameters.items()}
    trained = sum(size for place, size in sizes.items() if any(each.has(*place) for each in members))
    return trained / sum(sizes.values())


def misfits(hyperparams: Hyperparams, graph: Graph) -> Iterator[Problem]:
    """Patterns that name no layer, or none that is left for them."""
    arrays = arrays_of(graph)
    yield from nothing_named(hyperparams.frozen, arrays, FROZEN)
    groups = [each.layers for each in hyperparams.groups]
    for place, layers in enumerate(groups):
        path: Path = ("hyperparams", "groups", place, "layers")
        problems = list(nothing_named(layers, arrays, path))
        yield from problems
        if not problems and all(first_of(groups[:place], *each) is not None for each in named_by(layers, arrays)):
            detail = "names only layers that an earlier group has: the first group that names a layer counts"
            yield Problem(path, f"{detail}; put {shown(list(layers))} before it, or leave it out", "unused")
    if arrays and all(is_frozen(hyperparams, *each) for each in arrays):
        yield Problem(FROZEN, "names every layer that has weights, so that nothing is left to train", "conflict")


def named_by(patterns: Sequence[str], arrays: Sequence[Place]) -> list[Place]:
    """The arrays that any of the patterns names."""
    return [each for each in arrays if any(names_array(pattern, *each) for pattern in patterns)]


def nothing_named(patterns: Sequence[str], arrays: Sequence[Place], path: Path) -> Iterator[Problem]:
    """Each pattern that names no layer with weights, and none of its arrays."""
    for pattern in patterns:
        if named_by([pattern], arrays):
            continue
        if own := {name for layer, name in arrays if matches(pattern.rpartition(".")[0], layer)}:
            detail = f"{shown(pattern)} names no array of these layers; theirs are {', '.join(sorted(own))}"
            yield Problem(path, detail, "unknown_name", got=pattern)
        else:
            yield from unmatched([pattern], list(dict.fromkeys(layer for layer, _ in arrays)), path)


def unmatched(
    patterns: Sequence[str], names: Sequence[str], path: Path, *, what: str = "with weights"
) -> Iterator[Problem]:
    """Each pattern that names none of these layers. what: they are, after `layer`."""
    for pattern in patterns:
        if any(matches(pattern, name) for name in names):
            continue
        more = f", and {len(names) - MOST_LISTED} more" if len(names) > MOST_LISTED else ""
        listed = f"There are: {', '.join(names[:MOST_LISTED])}{more}" if names else "There is none"
        detail = f"{shown(pattern)} names no layer {what}.{did_you_mean(pattern, names)} {listed}"
        near = suggested(pattern, names)
        yield Problem(path, detail, "unknown_name", expected=one_of(names[:MOST_LISTED]), got=pattern, suggestion=near)
