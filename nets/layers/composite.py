"""Layer types that are made of others: small networks that stand in a larger one under a name of their own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nets.layers.base import LAYERS, Cost, Layer
from nets.spec.values import Value

# What a part reads that reads an input of the composite itself: the first, the second, the third.
OWN_INPUTS = ("", "#1", "#2")
OWN_INPUT = OWN_INPUTS[0]


@dataclass(frozen=True)
class Part:
    """One layer of a composite. inputs: the names of other parts, or of `OWN_INPUTS`."""

    name: str
    layer: Layer
    inputs: tuple[str, ...]


def chain(*layers: tuple[str, Layer], source: str = OWN_INPUT) -> tuple[Part, ...]:
    """Parts of which each reads the one before it, the first of them `source`."""
    names = [source, *(name for name, _ in layers)]
    return tuple(Part(name, layer, (before,)) for (name, layer), before in zip(layers, names, strict=False))


def function(name: str) -> Layer:
    """An activation without options, by its type."""
    return LAYERS.parse({"type": name}, ())


class Composite(Layer):
    """Base of the types that expand into parts. Random numbers for weights are drawn in the order of the parts.

    What comes out is what the one part gives that no other reads.
    """

    def expand(self, *inputs: Value) -> tuple[Part, ...]:
        """The parts, in any order that has no cycle; their sizes are filled in by whoever resolves the graph."""
        raise AssertionError(f"{type(self).__name__} does not expand")

    def cost(self, *inputs: Value) -> Cost:
        """That of all parts; of what comes out, of the last alone."""
        values: dict[str, Value] = dict(zip(OWN_INPUTS, inputs, strict=False))
        costs = []
        for part in in_order(self.expand(*inputs)):
            enters = [values[name] for name in part.inputs]
            layer = part.layer.filled(*enters)
            values[part.name] = layer.output(*enters)
            costs.append(layer.cost(*enters))
        return Cost(
            macs=sum(cost.macs for cost in costs),
            gives=self.output(*inputs).size,
            held=sum(cost.held for cost in costs),
            padded=max(cost.padded for cost in costs),
            drawn=sum(cost.drawn for cost in costs),
            of_values=sum(cost.of_values for cost in costs),
        )


def in_order(parts: Sequence[Part]) -> Iterator[Part]:
    """Parts, each behind those that it reads."""
    waiting, done = list(parts), set(OWN_INPUTS)
    while waiting:
        part = next(part for part in waiting if done.issuperset(part.inputs))
        waiting.remove(part)
        done.add(part.name)
        yield part
