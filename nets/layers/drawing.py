"""Arrays for the values of a layer in whichever order these lie: drawn ones, and one number for each channel."""

from __future__ import annotations

from jax import Array

from nets.layers.base import Bound


def order_of(bound: Bound) -> str:
    """The axes in the one order in which random numbers are drawn: every plan draws the same for each value."""
    return "BCHW" if "H" in bound.axes else "BTC" if "T" in bound.axes else "BC"


def spread(drawn: Array, axes: str, bound: Bound) -> Array:
    """What was drawn along `axes`, as the values of a layer lie; the same along all other axes."""
    kept = [name for name in bound.axes if name in axes]
    turned = drawn.transpose([axes.index(name) for name in kept])
    sizes = iter(turned.shape)
    return turned.reshape([next(sizes) if name in axes else 1 for name in bound.axes])


def across(values: Array, bound: Bound) -> Array:
    """`[channels]`, or a single number, along the axis of channels or features."""
    return values.reshape([-1 if name == "C" else 1 for name in bound.axes])
