"""What layers have in common whose window slides over an image, or over a sequence as over an image of one row."""

from __future__ import annotations

from typing import Any, ClassVar

import jax.numpy as jnp
from jax import Array

from nets.layers.base import Layer
from nets.layers.windows import outputs, padded, sizes_up_to
from nets.numerics.windows import Geometry, Padding, Pair
from nets.spec.fields import pair
from nets.spec.values import Value, described, image, sequence


class Sliding(Layer):
    """Base of convolutions and pools. Every size is a pair (height, width); a sequence has height 1.

    one_row: whether it takes sequences. Arrays are `[_, H, W, _]`, of sequences `[_, T, _]`.
    """

    one_row: ClassVar[bool] = False

    @property
    def window(self) -> Pair:
        raise AssertionError(f"{type(self).__name__} has no window")

    @property
    def strides(self) -> Pair:
        raise AssertionError(f"{type(self).__name__} has no strides")

    @property
    def dilations(self) -> Pair:
        return (1, 1)

    def pads(self, value: Value) -> Padding:
        """Padding for an image as ((top, bottom), (left, right))."""
        raise AssertionError(f"{type(self).__name__} has no padding")

    def geometry(self, value: Value) -> Geometry:
        """Where the window goes over an image."""
        return Geometry(self.strides, self.pads(value), self.dilations)

    def both(self, size: int | Pair, *, beside: int = 1) -> Pair:
        """A size for height and width. beside: that of the one row."""
        return (beside, size) if self.one_row and isinstance(size, int) else pair(size)

    def margins(self, padding: int | Pair | str) -> Pair | str:
        """Padding that was asked for, for height and width; a word as it is."""
        return padding if isinstance(padding, str) else self.both(padding, beside=0)

    def size(self, value: Value) -> Pair:
        """Height and width of what it goes over."""
        return (1, value.shape[0]) if self.one_row else (value.shape[1], value.shape[2])

    def places(self, value: Value) -> Pair:
        """How many places the window has along each axis; below 1 where it is too large."""
        return outputs(
            self.size(value), self.pads(value), window=self.window, stride=self.strides, dilation=self.dilations
        )

    def made(self, channels: int, size: Pair) -> Value:
        """An image of so many channels, or a sequence of so many features."""
        return sequence(size[1], channels) if self.one_row else image(channels, *size)

    def padded(self, *inputs: Value) -> int:
        return padded(inputs[0].channels, self.size(inputs[0]), self.pads(inputs[0]), self.strides)

    def as_image(self, x: Array) -> Array:
        """`[_, H, W, _]`."""
        return jnp.expand_dims(x, 1) if self.one_row else x

    def as_value(self, y: Array) -> Array:
        """The other way round."""
        return jnp.squeeze(y, 1) if self.one_row else y

    def by_axis(self, size: Pair) -> str:
        """A size in words: `3 x 3`; of a sequence `3`."""
        return described(size[self.one_row :])

    def in_words(self, size: Pair) -> str:
        """What it goes over: `9 x 9 image`, `sequence of 9 steps`."""
        high, wide = size
        return f"sequence of {wide} step{'s' * (wide != 1)}" if self.one_row else f"{high} x {wide} image"

    def up_to(self, most: Pair, *, least: int = 1) -> dict[str, Any]:
        """The sizes up to one, as JSON Schema."""
        if self.one_row:
            return {"type": "integer", "minimum": least, "maximum": most[1]}
        return sizes_up_to(most, least=least)
