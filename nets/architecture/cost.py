"""What a network costs: trained numbers, and floating point operations."""

from __future__ import annotations

import math

from nets.architecture.graph import Graph


def parameters(graph: Graph) -> int:
    """How many trained numbers there are; those that several layers share count once."""
    return sum(math.prod(p.shape) for node in graph.nodes for p in node.arrays.parameters.values())


def flops(graph: Graph) -> int:
    """Floating point operations of one sample's way forward: those of the kernels, two per weight and place."""
    return sum(node.cost.flops for node in graph.nodes)
