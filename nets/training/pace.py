"""How long things take on a device, roughly and before any of them has run: what one dispatch may hold."""

from __future__ import annotations

import math

from nets.architecture.cost import flops_forward
from nets.architecture.graph import Node
from nets.network import Network

DISPATCH_SECONDS = 0.1  # long enough to hide Python, short enough to cancel and to show progress
# Of what cannot be less than a dispatch, estimated: the rates of plans are those of a machine that does nothing else.
LONGEST_PART, LONGEST_STEP = 0.4, 2.0
BACKWARD = 3  # how many times as long as the way forward both together take
VECTOR = 16  # samples that fill vectors best, or a power of two of fewer
# What costs more than its products and its results tell, in values of a layer: each that a tap of a grouped convolution
# sees, since its products are small, and each of an image that random bits are drawn for.
A_TAP, A_DRAW = 1.3, 18


def sample_seconds(network: Network) -> float:
    """One sample forward and back."""
    graph, rates = network.graph, network.plan.rates
    return BACKWARD * flops_forward(graph) / rates.flops + sum(map(values_of, graph.nodes)) / rates.values


def values_of(node: Node) -> float:
    """What a layer costs beside its products, as if it were values that it gives."""
    grouped = (
        math.prod(kernel[:3]) * at.groups * math.prod(at.places(size, kernel[:2]))
        for kernel, at, size in node.layer.convolutions(*node.takes)
        if at.groups > 1
    )
    return node.cost.held + A_TAP * node.times * sum(grouped) + A_DRAW * drawn(node)


def drawn(node: Node) -> int:
    """How many values of an image a layer draws random bits for; those of features are few."""
    return node.cost.drawn if node.gives.kind != "features" else 0


def samples_at_most(network: Network, *, forward: bool = False) -> int:
    """How many samples one dispatch may take."""
    seconds = sample_seconds(network) / (BACKWARD if forward else 1)
    most = max(1, int(LONGEST_PART / seconds))
    return most // VECTOR * VECTOR if most >= VECTOR else 1 << (most.bit_length() - 1)


def even_part(batch: int, most: int) -> int:
    """How many samples of a batch to take at a time, `most` of `samples_at_most`: as few beyond the last as can be."""
    even = -(-batch // -(-batch // most))
    return -(-even // VECTOR) * VECTOR if most >= VECTOR else 1 << (even - 1).bit_length()


class Pace:
    """How many steps fill one dispatch, from the time that the last ones took."""

    def __init__(self, first: int) -> None:
        self.steps = first
        self.seconds_per_step = DISPATCH_SECONDS / first

    def timed(self, steps: int, seconds: float) -> None:
        self.seconds_per_step = seconds / steps
        # At most doubled at once: one fast reading must not make the next dispatch a long one.
        wanted = steps * DISPATCH_SECONDS / max(seconds, 1e-6)
        self.steps = max(1, int(min(wanted, 2 * self.steps)))
