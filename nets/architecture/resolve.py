"""Placed layers to a graph: values along all edges, adapters, composites, and what does not fit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from nets.architecture.architecture import Applied, Architecture
from nets.architecture.expand import Placed, output_id
from nets.architecture.graph import INPUT, Graph, Node
from nets.architecture.lending import check_lent, check_worth, lender_of
from nets.architecture.misfits import Words, takes_one, too_large, wrong_kind, wrong_number, wrong_times
from nets.architecture.order import in_order
from nets.architecture.written import Body, Written
from nets.errors import Path, Problem
from nets.layers import LAYERS, Layer
from nets.layers.composite import OWN_INPUTS, Composite
from nets.layers.composite import in_order as parts_in_order
from nets.layers.shape import AsImage, Flatten
from nets.spec.allowed import one_of
from nets.spec.values import Value


@dataclass(frozen=True)
class Resolved:
    """The nodes of layers that could be placed, by id; the network where all could, and nothing is wrong with it."""

    nodes: Mapping[str, Node]
    whole: Architecture | None = None


def resolve(
    given: Value | None, body: Body, placed: Sequence[Placed], *, path: Path, problems: list[Problem]
) -> Resolved:
    """The network, as far as it goes, with more `problems`. given: None where what goes in is unknown."""
    order, circles = in_order(placed)
    resolver = Resolver(given, placed)
    resolver.problems += circles
    for one in order:
        resolver.place(one)
    for name, problem in check_lent(resolver.nodes, resolver.sharers, exclude=resolver.doubtful):
        resolver.add(name, problem)
    if not resolver.problems:
        resolver.problems += check_worth(resolver.nodes, resolver.sharers)
    problems += resolver.problems
    if problems or given is None or len(resolver.applied) < len(placed):
        return Resolved(resolver.nodes)
    outputs = tuple(resolver.outputs[output_id(body.items[index], "")] for index in body.outputs)
    graph = Graph(given, resolver.in_turns(), outputs)
    problems += check_whole(graph, body, path)
    names = tuple(body.items[index].id for index in body.outputs)
    filled = {place: agreed(layers) for place, layers in resolver.filled.items()}
    return Resolved(graph.by_id, Architecture(graph, body.items, filled, tuple(resolver.applied), names))


def check_whole(graph: Graph, body: Body, path: Path) -> list[Problem]:
    """Rules for the network as a whole."""
    unread = [node for node in graph.nodes if not graph.readers[node.id] and node not in graph.ends]
    problems = [Problem(node.path, f"no layer reads what {node.place} gives; remove it", "unused") for node in unread]
    if not any(node.arrays.parameters for node in graph.nodes):
        types = [name for name, cls in LAYERS.items() if cls.width]
        rule = f"must have a layer with weights to train, such as one of {', '.join(types[:2])}"
        expected = {"contains": {"properties": {"type": one_of(types)}}}
        problems.append(Problem((*path, "layers"), rule, "missing", expected=expected))
    for index, end in zip(body.outputs or (body.last,), graph.ends, strict=True):
        problems += wrong_end(end.gives, body.items[index].shown)
    return problems


def wrong_end(value: Value, shown: Path) -> Iterator[Problem]:
    """What a network cannot end in."""
    if value.kind != "features":
        cure = f"end with {Flatten().type} and a linear layer that has one output per class"
        got = f"{'an image' if value.kind == 'image' else f'a {value.kind}'} ({value.described()})"
        yield Problem(shown, f"the network must end in features, got {got}; {cure}", "misfit")
    elif value.size < 2:
        rule = "the network must end in one output per class, at least 2, got 1"
        yield Problem(shown, rule, "out_of_range", expected=widths_from(2))


def widths_from(least: int) -> dict[str, Any]:
    """Layers that give so many outputs at least, as JSON Schema."""
    names = sorted({cls.width for cls in LAYERS.values() if cls.width})
    return {"properties": {name: {"type": "integer", "minimum": least} for name in names}}


@dataclass(frozen=True)
class Spot:
    """What the nodes of one layer have in common. shares: the id of the layer whose arrays they use."""

    placed: Placed
    shares: str | None
    turn: tuple[int, ...] = ()


class Resolver:
    """Follows the values through the layers.

    After a layer that cannot be read or placed, what follows is unknown: misfits there would be guesses.
    outputs: by id of a layer, the id of the node that gives what it gives. doubtful: nodes of which something is wrong.
    told: by place, whose problems have been told there. sharers: by id of a node, what was written to share arrays.
    """

    def __init__(self, given: Value | None, placed: Sequence[Placed]) -> None:
        self.values: dict[str, Value] = {} if given is None else {INPUT: given}
        self.outputs = {INPUT: INPUT}
        self.nodes: dict[str, Node] = {}
        self.applied: list[Applied] = []
        self.filled: dict[Path, list[tuple[Layer, Layer]]] = {}
        self.problems: list[Problem] = []
        self.told: dict[Path, str] = {}
        self.doubtful: set[str] = set()
        self.copies = Counter(one.item.path for one in placed if not one.merge)
        self.by_draw = {one.draw: one for one in placed if not one.merge}
        self.turns: dict[str, tuple[int, ...]] = {}
        self.sharers: dict[str, Written] = {}

    def add(self, name: str, problem: Problem) -> None:
        """A problem of one layer. That of the same one in another place is no news."""
        if self.told.setdefault(problem.path, name) == name:
            self.problems.append(problem)

    def place(self, one: Placed) -> None:
        """A layer with what it reads; nothing where that is not known."""
        layer = one.layer
        if layer is None:
            return
        if problem := wrong_number(one, layer):
            self.add(one.id, problem)
            return
        ids = [self.outputs.get(read.id) if read else None for read in one.reads]
        known = [name for name in ids if name is not None and name in self.values]
        if len(known) < len(ids):
            return
        lender = lender_of(one, self.by_draw)
        if isinstance(lender, Problem):
            self.add(one.id, lender)
        self.settle(one.id, layer, known, Spot(one, lender if isinstance(lender, str) else None))

    def settle(self, name: str, layer: Layer, reads: list[str], spot: Spot) -> None:
        """Nodes for a layer: adapters, and itself or its parts."""
        values = [self.values[read] for read in reads]
        entered = [self.adapted(name, layer, read, index, spot) for index, read in enumerate(reads)]
        if None in entered:
            return
        source = self.nodes.get(reads[0])
        reads = [read for read in entered if read is not None]
        enters = tuple(self.values[read] for read in reads)
        misfits = list(wrong_times(layer, enters) or wrong_kind(layer, enters)) or list(layer.misfits(*enters))
        if misfits:
            before, copies = source.takes[0] if source else None, self.copies[spot.placed.item.path]
            words = Words(spot.placed, enters, values, before, copies=copies)
            for misfit in misfits:
                self.add(name, words.problem(misfit))
        if any(misfit.fatal for misfit in misfits):
            return
        if misfits:
            self.doubtful.add(name)
        filled = layer.filled(*enters)
        gives = given_by(filled, enters)
        if large := too_large(gives):
            self.add(name, Problem(spot.placed.item.shown, f"{layer.type} {large}", "out_of_range"))
            return
        if not spot.turn:
            self.applied.append(Applied(name, filled, enters, gives, spot.placed.item.path))
            if not spot.placed.merge:
                self.filled.setdefault(spot.placed.item.path, []).append((layer, filled))
        if isinstance(filled, Composite):
            self.parts(name, filled, reads, enters, spot)
        else:
            self.node(name, filled, reads, enters, gives, spot)

    def node(
        self, name: str, layer: Layer, reads: list[str], enters: tuple[Value, ...], gives: Value, spot: Spot
    ) -> None:
        one = spot.placed
        shares = spot.shares
        if shares and name not in self.doubtful and not layer.arrays(*enters):
            shares = None
        self.outputs[name], self.values[name], self.turns[name] = name, gives, spot.turn
        if one.sharer:
            self.sharers[name] = one.sharer
        self.nodes[name] = Node(
            *(name, layer, tuple(reads), enters, gives, shares),
            path=one.item.path,
            part=bool(spot.turn),
            draw=one.draw,
        )

    def parts(self, name: str, layer: Composite, reads: list[str], enters: tuple[Value, ...], spot: Spot) -> None:
        """The nodes of a composite, in an order in which they can run."""
        parts = layer.expand(*enters)
        turns = {part.name: index for index, part in enumerate(parts)}
        own = dict(zip(OWN_INPUTS, reads, strict=False))
        for part in parts_in_order(parts):
            sources = [own.get(source) or self.outputs.get(f"{name}.{source}") for source in part.inputs]
            shares = spot.shares and f"{spot.shares}.{part.name}"
            inner = replace(spot, shares=shares, turn=(*spot.turn, turns[part.name]))
            known = [source for source in sources if source is not None]
            if len(known) == len(sources):
                self.settle(f"{name}.{part.name}", part.layer, known, inner)
        read = {source for part in parts for source in part.inputs}
        last = next(part.name for part in parts if part.name not in read)
        if output := self.outputs.get(f"{name}.{last}"):
            self.outputs[name] = output

    def adapted(self, name: str, layer: Layer, read: str, index: int, spot: Spot) -> str | None:
        """What a layer reads, as it takes it: an image flattened, features of a square number as an image."""
        value = self.values[read]
        adapter = adapter_of(layer, value)
        if adapter is None:
            return read
        if misfits := list(adapter.misfits(value)):
            types = [name for name, cls in LAYERS.items() if takes_one(cls, value.kind)]
            expected = {"properties": {"type": one_of(types)}}
            rule = f"{layer.type} {misfits[0].detail}"
            self.add(name, Problem(spot.placed.item.shown, rule, "misfit", expected=expected))
            return None
        if large := too_large(given_by(adapter, (value,))):
            self.add(
                name, Problem(spot.placed.item.shown, f"{adapter.type} before {layer.type} {large}", "out_of_range")
            )
            return None
        adapted = f"{name}.{adapter.type}{f'_{index}' * (index > 0)}"
        self.node(adapted, adapter, [read], (value,), given_by(adapter, (value,)), replace(spot, shares=None))
        return adapted

    def in_turns(self) -> tuple[Node, ...]:
        """The nodes, those of one layer with their turns when random numbers are drawn."""
        owners: dict[tuple[int, ...], list[str]] = {}
        for name in sorted(self.nodes, key=self.turns.__getitem__):
            owners.setdefault(self.nodes[name].draw, []).append(name)
        turns = {name: turn for names in owners.values() for turn, name in enumerate(names)}
        return tuple(replace(node, turn=turns[name]) if turns[name] else node for name, node in self.nodes.items())


def given_by(layer: Layer, enters: tuple[Value, ...]) -> Value:
    """What a layer gives, as often in a sample as what it reads."""
    gives = layer.output(*enters)
    return gives if layer.regroups else replace(gives, times=enters[0].times)


def adapter_of(layer: Layer, value: Value) -> Layer | None:
    """What stands between a value and a layer that takes no such kind; None where nothing does."""
    if not layer.converts or value.kind in layer.takes:
        return None
    if value.kind == "image" and "features" in layer.takes:
        return Flatten()
    return AsImage() if value.kind == "features" and "image" in layer.takes else None


def agreed(layers: Sequence[tuple[Layer, Layer]]) -> Layer:
    """One layer of all its copies, each with what was written; a field that differs between them stays as it was."""
    (written, first), *others = layers
    if not others:
        return first
    fields = {name: getattr(first, name) for name in type(first).model_fields}
    same = {name: value for name, value in fields.items() if all(getattr(one, name) == value for _, one in others)}
    return written.model_copy(update=same)


def is_adapter(node: Node) -> bool:
    """Whether a node that is no layer as listed is what `Resolver.adapted` made, and no part of a composite."""
    return isinstance(node.layer, Flatten | AsImage) and node.id.rpartition(".")[2].startswith(node.layer.type)
