"""A network that has been checked, with what it was written as."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from nets.architecture import cost
from nets.architecture.frame import frame_json
from nets.architecture.graph import Graph
from nets.architecture.summary import title, written_json
from nets.architecture.written import Written
from nets.errors import Path
from nets.layers import Layer
from nets.spec.values import Value


@dataclass(frozen=True)
class Applied:
    """A layer of the JSON in one of its places, filled in; composites are whole here."""

    id: str
    layer: Layer
    takes: tuple[Value, ...]
    gives: Value
    path: Path


@dataclass(frozen=True)
class Architecture:
    """A network whose layers fit each other. Hashable: those of equal graphs are equal, however they were written.

    layers: as written. filled: each of them by its place, with the fields that follow from what comes before, where
    those are the same in all copies of it. applied: each layer in each of its places, in an order in which they run.
    outputs: as named.
    """

    graph: Graph
    layers: tuple[Written, ...] = field(compare=False, repr=False)
    filled: Mapping[Path, Layer] = field(compare=False, repr=False)
    applied: tuple[Applied, ...] = field(compare=False, repr=False)
    outputs: tuple[str, ...] = field(default=(), compare=False)

    @cached_property
    def parameters(self) -> int:
        """How many trained numbers there are."""
        return cost.parameters(self.graph)

    @cached_property
    def flops(self) -> int:
        """Floating point operations of one sample's way forward."""
        return cost.flops_forward(self.graph)

    def written_at(self, path: Path) -> Written | None:
        """What was written at a place, also inside of combinators."""
        todo = list(self.layers)
        while todo:
            item = todo.pop()
            if item.path == path:
                return item
            todo += [inner for body in item.bodies for inner in body.items]
        return None

    def to_json(self) -> dict[str, Any]:
        """The canonical specification: every field filled in that is the same wherever its layer stands."""
        outputs = {"outputs": list(self.outputs)} if self.outputs else {}
        return {**frame_json(self.graph.input), **outputs, "layers": written_json(self.layers, self.filled)}

    def summary_name(self) -> str:
        """A short readable name, e.g. `CNN 32-64-128-10`."""
        return title([one.layer for one in self.applied])
