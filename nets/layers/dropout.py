"""Dropout."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from nets.kernels.plan import Activation, Bound, Plan
from nets.layers.base import Example, Layer, register
from nets.spec.fields import Real
from nets.spec.traced import Traced


@register
class Dropout(Layer):
    """Zero each value with probability `p` while training and scale the rest by 1 / (1 - p). PyTorch's `nn.Dropout`."""

    type: Literal["dropout"] = "dropout"
    p: Annotated[Real, Field(ge=0, lt=1), Traced()] = 0.5

    aliases = {"rate": "p"}
    random = True
    examples = (
        Example({"type": "dropout", "p": 0.5}, (128,), (128,)),
        Example({"type": "dropout", "rate": 0.1}, (3, 4, 4), (3, 4, 4)),
    )

    def apply(self, x: Activation, bound: Bound, plan: Plan) -> Activation:
        return plan.dropout(x, key=bound.key(), rate=bound.number("p")) if bound.train else x
