"""Regularizers of what layers give."""

from __future__ import annotations

from typing import Literal

import jax.numpy as jnp
from jaxtyping import Array, Float

from nets.regularizers.base import REGULARIZERS, OfActivity


@REGULARIZERS.register
class ActivityL2(OfActivity):
    """The sum of the squares of what the layers give, of an average sample. Keras's `activity_regularizer`.

    Layers that pass on what they are given, such as flatten and dropout, do not count.
    """

    type: Literal["activity_l2"] = "activity_l2"

    also = ("activation_l2",)
    examples = ({"type": "activity_l2", "weight": 0.0001, "layers": "linear_4"},)

    def each(self, values: Float[Array, "batch ..."]) -> Float[Array, " batch"]:
        return (values.astype(jnp.float32) ** 2).reshape(len(values), -1).sum(-1)
