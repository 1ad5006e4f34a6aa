"""Layers that change only the shape."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal

from jax import Array

from nets.layers.base import Bound, Example, Layer, Misfit, register
from nets.spec.values import Value, features, image, sequence


@register
class Flatten(Layer):
    """All values as features: an image channel by channel, row by row; a sequence step by step. PyTorch's `nn.Flatten`.

    Features stay as they are.
    """

    type: Literal["flatten"] = "flatten"

    keeps_values = True
    examples = (
        Example({"type": "flatten"}, (image(4, 3, 2),), features(24)),
        Example({"type": "flatten"}, (features(5),), features(5)),
        Example({"type": "flatten"}, (sequence(5, 6),), features(30)),
    )

    def output(self, *inputs: Value) -> Value:
        return features(inputs[0].size)

    def apply(self, bound: Bound, *xs: Array) -> Array:
        x = xs[0].transpose(0, 3, 1, 2) if bound.takes[0].kind == "image" else xs[0]
        return x.reshape(x.shape[0], -1)


class AsImage(Layer):
    """Features of a square number as an image of one channel, row by row: what a convolution reads them as."""

    type: Literal["as_image"] = "as_image"
    takes = ("features",)
    keeps_values = True

    def misfits(self, *inputs: Value) -> Iterator[Misfit]:
        if math.isqrt(inputs[0].size) ** 2 != inputs[0].size:
            detail = (
                f"expects an image; {inputs[0].size} features cannot be read as a square image. Move it before flatten"
            )
            yield Misfit(None, detail, fatal=True)

    def output(self, *inputs: Value) -> Value:
        side = math.isqrt(inputs[0].size)
        return image(1, side, side)

    def apply(self, bound: Bound, *xs: Array) -> Array:
        _, high, wide = bound.gives.shape
        return xs[0].reshape(xs[0].shape[0], high, wide, 1)
