"""Normalisation by what neighbouring channels hold."""

from __future__ import annotations

from typing import Annotated, Literal

import jax.numpy as jnp
from jax import Array, lax
from pydantic import Field

from nets.layers.base import Bound, Example, Layer, register
from nets.spec.fields import Real, Whole
from nets.spec.values import image, sequence


@register
class LocalResponseNorm(Layer):
    """x / (k + alpha * mean of the squares of `size` neighbouring channels)^beta. PyTorch's `nn.LocalResponseNorm`.

    Krizhevsky et al., 2012.
    """

    type: Literal["localresponsenorm"] = "localresponsenorm"
    size: Annotated[Whole, Field(ge=1, le=1024)] = Field(
        description="How many neighbouring channels, its own among them; those beyond the first and last count as 0."
    )
    alpha: Annotated[Real, Field(ge=0, le=1000)] = Field(default=1e-4, description="Weight of the mean of squares.")
    beta: Annotated[Real, Field(ge=0, le=100)] = Field(default=0.75, description="Exponent.")
    k: Annotated[Real, Field(gt=0, le=1000)] = Field(default=1.0, description="Added to the mean of squares.")

    also = ("local_response_norm", "lrn")
    takes = ("image", "sequence")
    cures = {"features": "use layernorm"}
    layouts = "any"
    examples = (
        Example({"type": "localresponsenorm", "size": 3}, (image(5, 3, 4),), image(5, 3, 4)),
        Example({"type": "localresponsenorm", "size": 2, "alpha": 0.1}, (sequence(3, 6),), sequence(3, 6)),
    )

    def apply(self, bound: Bound, *xs: Array) -> Array:
        x, at = xs[0], bound.axis("C")
        window = [self.size if axis == at else 1 for axis in range(x.ndim)]
        margin = [(self.size // 2, (self.size - 1) // 2) if axis == at else (0, 0) for axis in range(x.ndim)]
        squares = lax.reduce_window(jnp.square(x), 0.0, lax.add, window, [1] * x.ndim, margin)
        return x * jnp.power(self.k + self.alpha / self.size * squares, -self.beta)
