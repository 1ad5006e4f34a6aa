"""Dropout."""

from __future__ import annotations

from typing import Annotated, Literal

from jax import Array
from pydantic import Field

from nets.layers.base import Bound, Example, Layer, register
from nets.numerics.normalise import keep_mask
from nets.spec.fields import Real
from nets.spec.traced import Traced
from nets.spec.values import features, image, sequence


@register
class Dropout(Layer):
    """Zero each value with probability `p` while training and scale the rest by 1 / (1 - p). PyTorch's `nn.Dropout`."""

    type: Literal["dropout"] = "dropout"
    p: Annotated[Real, Field(ge=0, lt=1), Traced()] = Field(
        default=0.5, description="Probability that a value is zeroed."
    )

    aliases = {"rate": "p"}
    layouts = "any"
    random = True
    keeps_values = True
    examples = (
        Example({"type": "dropout", "p": 0.5}, (features(128),), features(128)),
        Example({"type": "dropout", "rate": 0.1}, (image(3, 4, 4),), image(3, 4, 4)),
        Example({"type": "dropout"}, (sequence(5, 6),), sequence(5, 6)),
    )

    @property
    def idle(self) -> bool:
        return self.p == 0

    def apply(self, bound: Bound, *xs: Array) -> Array:
        if not bound.train:
            return xs[0]
        # Drawn in one order, channels before pixels, so that every plan drops the same values.
        drawn = "BCHW" if "H" in bound.axes else "BTC" if "T" in bound.axes else "BC"
        shape = [xs[0].shape[bound.axis(name)] for name in drawn]
        mask = keep_mask(bound.key(), bound.number("p"), tuple(shape))
        return xs[0] * mask.transpose([drawn.index(name) for name in bound.axes])
