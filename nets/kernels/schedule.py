"""Which row of a plan computes which layers of a network: decided before anything is traced."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from nets.architecture.graph import Graph, Node
from nets.kernels.plan import Fusion, Kernel, Plan, Site


@dataclass(frozen=True)
class Stage:
    """Layers that are computed at once. inputs: ids of what they read. how: None for the layer's own `apply`."""

    nodes: tuple[Node, ...]
    inputs: tuple[str, ...]
    how: Kernel | Fusion | None = None

    @property
    def output(self) -> str:
        """The id of what comes out."""
        return self.nodes[-1].id


def schedule(graph: Graph, plan: Plan, *, batch: int, train: bool, kept: Collection[str] = ()) -> tuple[Stage, ...]:
    """Every computed node in one stage, in an order in which they can run.

    The longest fusions are looked for first, all over the graph: from left to right, a convolution with a norm would
    take the norm away from a norm with a sum. A stage stands where its last node stood, behind all that it reads.
    kept: nodes whose values are asked for, and are not lost inside of a fusion.
    """
    fused: dict[str, Stage] = {}  # by the last node
    taken: set[str] = set()
    for fusion in sorted(plan.fusions, key=lambda fusion: -len(fusion.chain)):
        for node in graph.computed:
            nodes = chain(graph, fusion, node, taken, kept)
            if nodes and fusion.fits(Site(plan, nodes, graph.readers[nodes[-1].id], batch * node.times, train)):
                fused[nodes[-1].id] = Stage(nodes, tuple(read_by(nodes)), fusion)
                taken.update(inner.id for inner in nodes)
    stages = (
        fused.get(node.id) or alone(graph, plan, node, batch=batch, train=train)
        for node in graph.computed
        if node.id in fused or node.id not in taken
    )
    return tuple(stages)


def chain(graph: Graph, fusion: Fusion, first: Node, taken: set[str], kept: Collection[str]) -> tuple[Node, ...] | None:
    """The nodes of a fusion from `first` on, if they are there and free: nothing else reads what lies between them."""
    nodes: list[Node] = []
    node = first
    for kind in fusion.chain:
        if nodes:
            readers = graph.readers[nodes[-1].id]
            if len(readers) != 1 or nodes[-1].id in (*graph.heads, *kept):
                return None
            node = readers[0]
        if not isinstance(node.layer, kind) or node.id in taken:
            return None
        nodes.append(node)
    return tuple(nodes)


def read_by(nodes: Sequence[Node]) -> Iterator[str]:
    """What a chain reads from outside of it."""
    yield from nodes[0].inputs
    for before, node in zip(nodes, nodes[1:], strict=False):
        yield from (name for name in node.inputs if name != before.id)


def alone(graph: Graph, plan: Plan, node: Node, *, batch: int, train: bool) -> Stage:
    """The first row for a layer on its own, or its own `apply`."""
    site = Site(plan, (node,), graph.readers[node.id], batch * node.times, train)
    rows = (row for row in plan.kernels if isinstance(node.layer, row.layer) and row.fits(site))
    return Stage((node,), node.inputs, next(rows, None))
