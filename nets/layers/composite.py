"""Layer types that are made of others: small networks that stand in a larger one under a name of their own."""

from __future__ import annotations

from dataclasses import dataclass

from nets.layers.base import Layer
from nets.spec.values import Value

OWN_INPUT = ""  # what a part reads that reads the input of the composite itself


@dataclass(frozen=True)
class Part:
    """One layer of a composite. inputs: the names of other parts, or `OWN_INPUT`."""

    name: str
    layer: Layer
    inputs: tuple[str, ...]


class Composite(Layer):
    """Base of the types that expand into parts. Random numbers for weights are drawn in the order of the parts.

    What comes out is what the one part gives that no other reads.
    """

    def expand(self, *inputs: Value) -> tuple[Part, ...]:
        """The parts, in any order that has no cycle; their sizes are filled in by whoever resolves the graph."""
        raise AssertionError(f"{type(self).__name__} does not expand")
