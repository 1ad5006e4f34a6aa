"""What computes each layer of a network, in words: read off the same tables that decide it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from typing_extensions import TypedDict

from nets.architecture.graph import Graph
from nets.facts import About
from nets.kernels.loops import Loop, looped
from nets.kernels.plan import Fusion, Plan, Way
from nets.kernels.schedule import Stage, schedule

DEFINITION = "its definition, compiled by XLA"


class Form(TypedDict):
    """How layers are computed."""

    form: Annotated[
        Literal["fusion", "kernel", "xla"],
        About("`fusion`: layers as one; `kernel`: a kernel of Lamina's; `xla`: the definition of the layer, by XLA."),
    ]
    algorithm: Annotated[str | None, About("Of a convolution: its row in the table of nets/kernels/README.md.")]
    does: Annotated[str, About("The same in words.")]
    layers: Annotated[list[str], About("The layers that are computed at once, in their order.")]
    loop: Annotated[int | None, About("In how many equal blocks it stands that are compiled once, as a loop.")]


def forms(graph: Graph, plan: Plan, *, batch: int, train: bool) -> Iterator[Form]:
    """What computes the nodes of a network; nothing does a final softmax, which only says how logits are read."""
    stages = schedule(graph, plan, batch=batch, train=train)
    for part in looped(stages, plan.least_copies, positions=plan.least_positions):
        if isinstance(part, Loop):
            yield from (form_of(stage, plan, batch, len(part.copies)) for block in part.copies for stage in block)
        else:
            yield form_of(part, plan, batch, None)


def form_of(stage: Stage, plan: Plan, batch: int, loop: int | None) -> Form:
    """How one stage is computed. loop: in how many equal blocks it stands."""
    way = next(ways(stage, plan, batch), None)
    fused = isinstance(stage.how, Fusion)
    own = DEFINITION if stage.how is None else stage.how.does
    if fused:
        own = f"{' + '.join(node.layer.type for node in stage.nodes)} as one: {own}"
    return {
        "form": "fusion" if fused else "kernel" if stage.how else "xla",
        "algorithm": way and way.name,
        "does": own if way is None else f"{own}; {way.name}: {way.does}",
        "layers": [node.id for node in stage.nodes],
        "loop": loop,
    }


def ways(stage: Stage, plan: Plan, batch: int) -> Iterator[Way]:
    """Of its convolutions."""
    pooled = isinstance(stage.how, Fusion) and stage.how.pools
    for node in stage.nodes:
        for kernel, at, size in node.layer.convolutions(*node.takes):
            yield plan.way(kernel, at, size, batch * node.times, pooled=pooled)
