"""Pools over all of an image or a sequence."""

from __future__ import annotations

from typing import Literal

import jax.numpy as jnp
from jax import Array
from pydantic import Field

from nets.layers.base import Bound, Example, Layer, register
from nets.spec.fields import Boolean
from nets.spec.values import Value, features, image, sequence


class GlobalPool(Layer):
    """Base of the global pools."""

    keepdims: Boolean = Field(
        False, description="Whether an image or a sequence of one position comes out, not features."
    )

    takes = ("image", "sequence")
    cures = {"features": "put it before flatten", "tokens": "put an embedding before it"}
    layouts = "any"

    def output(self, *inputs: Value) -> Value:
        channels = inputs[0].channels
        if not self.keepdims:
            return features(channels)
        return image(channels, 1, 1) if inputs[0].kind == "image" else sequence(1, channels)

    def over_positions(self, bound: Bound, x: Array) -> Array:
        """`[_, _]` of `[_, positions, _]`."""
        raise AssertionError(f"{type(self).__name__} pools nothing")

    def apply(self, bound: Bound, *xs: Array) -> Array:
        outer, *sides, inner = xs[0].shape  # batch and channels stand at the ends, in every order
        y = self.over_positions(bound, xs[0].reshape(outer, -1, inner))
        return jnp.expand_dims(y, tuple(range(1, 1 + len(sides)))) if self.keepdims else y


@register
class GlobalAvgPool(GlobalPool):
    """Mean of each channel over all pixels, or of each feature over all steps. Lin et al., 2014."""

    type: Literal["globalavgpool"] = "globalavgpool"

    also = (
        "globalaveragepooling2d",
        "globalaveragepooling1d",
        "global_avgpool2d",
        "global_avgpool1d",
        "globalavgpool2d",
        "globalavgpool1d",
        "global_avg_pool",
    )
    examples = (
        Example({"type": "globalavgpool"}, (image(3, 4, 4),), features(3)),
        Example({"type": "globalavgpool", "keepdims": True}, (sequence(5, 6),), sequence(1, 6)),
    )

    def over_positions(self, bound: Bound, x: Array) -> Array:
        return x.mean(1)


@register
class GlobalMaxPool(GlobalPool):
    """Largest value of each channel over all pixels, or feature over all steps. Keras's `GlobalMaxPooling2D`."""

    type: Literal["globalmaxpool"] = "globalmaxpool"

    also = (
        "globalmaxpooling2d",
        "globalmaxpooling1d",
        "global_maxpool2d",
        "global_maxpool1d",
        "globalmaxpool2d",
        "globalmaxpool1d",
        "global_max_pool",
    )
    examples = (
        Example({"type": "globalmaxpool", "keepdims": True}, (image(3, 4, 4),), image(3, 1, 1)),
        Example({"type": "globalmaxpool"}, (sequence(5, 6),), features(6)),
    )

    def over_positions(self, bound: Bound, x: Array) -> Array:
        return bound.numerics.largest(x, 1)
