"""A network whose layers fit each other: nodes with the values on their edges, in an order in which they can run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from nets.errors import Path
from nets.layers.base import Cost, Layer
from nets.layers.parameters import Arrays, Parameter, ones, zeros
from nets.spec.values import Value

INPUT = "input"  # the id of what comes in, under which its statistics are filed, too


@dataclass(frozen=True)
class Node:
    """A layer in its place. Nodes of equal networks are equal, wherever they stood in the JSON.

    id: its arrays are filed under it. inputs: ids of what it reads, `INPUT` for the network's input. layer: all filled
    in. shares: the node whose arrays it uses, in place of its own. path: where the JSON describes it. part: whether it
    is a part of the layer that stands there. draw: numbers
    that the seed is folded with for its arrays; nodes of equal ones are drawn one after the other, by their `turn`.
    """

    id: str
    layer: Layer
    inputs: tuple[str, ...]
    takes: tuple[Value, ...]
    gives: Value
    shares: str | None = None
    path: Path = field(default=(), compare=False)
    part: bool = field(default=False, compare=False)
    draw: tuple[int, ...] = field(default=(), compare=False)
    turn: int = field(default=0, compare=False)

    @cached_property
    def arrays(self) -> Arrays:
        """Those that are its own: none where it shares another's."""
        return Arrays() if self.shares else self.layer.arrays(*self.takes)

    @cached_property
    def cost(self) -> Cost:
        """What one sample costs here."""
        return Cost(*(self.times * each for each in self.layer.cost(*self.takes)))

    @property
    def times(self) -> int:
        """How often a sample goes through: once, or each of its steps by itself."""
        return self.takes[0].times

    @property
    def positions(self) -> int:
        """How many values of each channel a sample brings: pixels of an image, steps of a sequence."""
        return self.times * self.takes[0].positions

    @property
    def place(self) -> str:
        """As a person finds it in the JSON: `conv2d (layers[3])`."""
        indices = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in self.path[1:])
        return f"{self.layer.type} ({indices.lstrip('.')})"


@dataclass(frozen=True)
class Graph:
    """Nodes in topological order. Hashable: equal graphs share their compiled programs.

    The output is what the one node gives that no other reads. outputs: the ids of several such nodes, where they are
    named; the first is the output, the others only help to train.
    """

    input: Value
    nodes: tuple[Node, ...]
    outputs: tuple[str, ...] = ()

    @cached_property
    def by_id(self) -> Mapping[str, Node]:
        return {node.id: node for node in self.nodes}

    @cached_property
    def readers(self) -> Mapping[str, tuple[Node, ...]]:
        """Of each id the nodes that read it, one as often as it does."""
        found: dict[str, list[Node]] = {INPUT: [], **{node.id: [] for node in self.nodes}}
        for node in self.nodes:
            for name in node.inputs:
                found[name].append(node)
        return {name: tuple(nodes) for name, nodes in found.items()}

    @cached_property
    def last(self) -> Node:
        """The node whose values are the output."""
        if self.outputs:
            return self.by_id[self.outputs[0]]
        return next(node for node in reversed(self.nodes) if not self.readers[node.id])

    @cached_property
    def ends(self) -> tuple[Node, ...]:
        """The nodes that no other reads, the output first."""
        return (self.last, *(self.by_id[name] for name in self.outputs[1:]))

    @cached_property
    def heads(self) -> tuple[str, ...]:
        """The ids of what the loss takes of each end."""
        return tuple(node.inputs[0] if node.layer.reads else node.id for node in self.ends)

    @property
    def output(self) -> Value:
        return self.last.gives

    @property
    def classes(self) -> int:
        """How many logits come out."""
        return self.output.channels

    @cached_property
    def computed(self) -> tuple[Node, ...]:
        """The nodes that are computed: a final softmax is how logits are read, not a layer to train through."""
        return tuple(node for node in self.nodes if node not in self.ends or not node.layer.reads)

    @cached_property
    def logits(self) -> str:
        """The id of what the loss takes."""
        return self.heads[0]

    def arrays(self) -> dict[str, dict[str, dict[str, Parameter]]]:
        """Every array that a weight file holds: collection, node, name."""
        found: dict[str, dict[str, dict[str, Parameter]]] = {"params": {}, "batch_stats": {}}
        if self.standardises:
            width = (self.input.channels,)
            found["batch_stats"][INPUT] = {"mean": Parameter(width, zeros), "std": Parameter(width, ones)}
        for node in self.nodes:
            if node.arrays.parameters:
                found["params"][node.id] = dict(node.arrays.parameters)
            if node.arrays.statistics:
                found["batch_stats"][node.id] = dict(node.arrays.statistics)
        return found

    @property
    def standardises(self) -> bool:
        """Whether what comes in is numbers, of which mean and deviation are kept with the weights."""
        return self.input.kind != "tokens"

    @cached_property
    def structure(self) -> Graph:
        """The graph without the numbers that compiled programs take as inputs."""
        return replace(self, nodes=tuple(replace(node, layer=node.layer.structure()) for node in self.nodes))

    def numbers(self) -> dict[str, dict[str, float]]:
        """Those numbers, by node."""
        return {node.id: numbers for node in self.nodes if (numbers := node.layer.numbers())}

    @cached_property
    def normalises(self) -> bool:
        """Whether any layer looks across the batch while training, or keeps statistics of it."""
        return any(node.layer.across_batch or node.layer.arrays(*node.takes).statistics for node in self.nodes)

    @cached_property
    def compares(self) -> bool:
        """Whether answers depend on the samples that are answered together."""
        return any(node.layer.compares for node in self.nodes)

    @cached_property
    def has_images(self) -> bool:
        """Whether any layer works on images as such, or is a convolution.

        One that only flattens its input is a network of features.
        """
        return any(
            node.layer.takes == ("image",) or next(node.layer.convolutions(*node.takes), None) for node in self.nodes
        )
