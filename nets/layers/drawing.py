"""Arrays for the values of a layer in whichever order these lie: drawn ones, and one number for each channel."""

from __future__ import annotations

from jax import Array

from nets.layers.base import Bound


def drawn_shape(bound: Bound, x: Array) -> tuple[tuple[int, ...], list[int]]:
    """The shape of an array to draw for `x`, and how to transpose it then.

    In one order, channels before pixels, so that every plan draws the same values.
    """
    order = order_of(bound)
    return tuple(x.shape[bound.axis(name)] for name in order), [order.index(name) for name in bound.axes]


def order_of(bound: Bound) -> str:
    """The axes in the order in which random numbers are drawn."""
    return "BCHW" if "H" in bound.axes else "BTC" if "T" in bound.axes else "BC"


def across(values: Array, bound: Bound) -> Array:
    """`[channels]`, or a single number, along the axis of channels or features."""
    return values.reshape([-1 if name == "C" else 1 for name in bound.axes])
