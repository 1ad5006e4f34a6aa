"""A network while somebody builds it: what of it can be placed, and what is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from nets.architecture.architecture import Architecture
from nets.architecture.expand import Placed, expand
from nets.architecture.graph import Graph, Node
from nets.architecture.resolve import is_adapter
from nets.architecture.written import Body
from nets.errors import Problem
from nets.spec.values import Value


@dataclass(frozen=True)
class Sketch:
    """A network as far as it goes.

    given: what goes in; None where that is unknown. placed: every layer in each of its places, as listed. nodes: of
    those whose values are known, by id, in an order in which they can run. whole: the network, where nothing is wrong.
    """

    given: Value | None = None
    placed: tuple[Placed, ...] = ()
    nodes: Mapping[str, Node] = field(default_factory=dict)
    whole: Architecture | None = None
    problems: tuple[Problem, ...] = ()

    @classmethod
    def of(cls, architecture: Architecture) -> Sketch:
        """One in which nothing is missing."""
        items = architecture.layers
        placed = expand(Body(items, last=len(items) - 1, open=True))
        return cls(architecture.graph.input, placed, architecture.graph.by_id, architecture)

    @cached_property
    def graph(self) -> Graph | None:
        """What is known of the network: perhaps without its end. None where that is nothing."""
        if self.whole is not None:
            return self.whole.graph
        return Graph(self.given, tuple(self.nodes.values())) if self.given and self.nodes else None

    @cached_property
    def adapters(self) -> frozenset[str]:
        """The nodes that only stand between a layer and what it reads."""
        listed = {one.id for one in self.placed}
        return frozenset(name for name, node in self.nodes.items() if name not in listed and is_adapter(node))
