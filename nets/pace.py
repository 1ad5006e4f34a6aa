"""How long things take on a device, roughly and before any of them has run: what one dispatch may hold."""

from __future__ import annotations

from nets.network import Network

DISPATCH_SECONDS = 0.1  # long enough to hide Python, short enough to cancel and to show progress
# Of what cannot be less than a dispatch, estimated: the rates of plans are those of a machine that does nothing else.
LONGEST_PART, LONGEST_STEP = 0.6, 2.0
# What a value that a layer gives costs forward and back beside the products, in operations of the kernels.
A_VALUE = 150
BACKWARD = 3  # how many times as long as the way forward both together take


def image_seconds(network: Network) -> float:
    """One image forward and back."""
    architecture = network.architecture
    values = sum(layer.held(shape) for layer, shape in zip(architecture.layers, architecture.shapes, strict=True))
    return (BACKWARD * architecture.flops + A_VALUE * values) / network.plan.flops_per_second


def images_at_most(network: Network, *, forward: bool = False) -> int:
    """How many images one dispatch may take; of fewer than 16 a power of two, which fills vectors best."""
    seconds = image_seconds(network) / (BACKWARD if forward else 1)
    most = max(1, int(LONGEST_PART / seconds))
    return most // 16 * 16 if most >= 16 else 1 << (most.bit_length() - 1)
