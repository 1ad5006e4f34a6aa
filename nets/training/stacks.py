"""Which arrays of equal blocks are kept one after the other: loop, gradient and update are compiled once for all."""

from __future__ import annotations

from nets.kernels.loops import Loop, Stack, looped
from nets.kernels.schedule import schedule
from nets.network import Network
from nets.training.filing import Stacks
from nets.training.objective import Objective
from nets.training.update import Update


def stacks_of(network: Network, update: Update, objective: Objective, *, batch: int) -> Stacks:
    """The layers whose arrays lie one after the other where `batch` samples go through at a time.

    They stand in one place of the blocks of a loop, and everything that changes one of them changes all.
    """
    graph, plan, kept = network.graph, network.plan, objective.kept(network.graph)
    if plan.least_copies is None:
        return ()
    lent = {node.shares for node in graph.nodes if node.shares}
    stages = schedule(graph, plan, batch=batch, train=True, kept=kept)
    return tuple(
        stack
        for part in looped(stages, plan.least_copies, positions=plan.least_positions, kept=kept)
        if isinstance(part, Loop)
        for stack in part.places
        if graph.by_id[stack[0]].arrays and lent.isdisjoint(stack) and alike(stack, network, update, objective)
    )


def alike(stack: Stack, network: Network, update: Update, objective: Objective) -> bool:
    """Whether the same rules change the arrays of all these layers."""

    def rules(layer: str) -> list[int | None]:
        arrays = network.graph.by_id[layer].arrays.parameters
        found = (next((at for at, rule in enumerate(update.members) if rule.has(layer, name)), None) for name in arrays)
        return [*found, *(at for at, each in enumerate(objective.regularizers) if layer in each.nodes)]

    return all(rules(layer) == rules(stack[0]) for layer in stack)
