"""Layers that change only the shape."""

from __future__ import annotations

import math
from typing import Literal

from nets.kernels.plan import Activation, Bound, Plan
from nets.layers.base import Example, Layer, Shape, register


@register
class Flatten(Layer):
    """An image as features, channel by channel, row by row. Features stay as they are. PyTorch's `nn.Flatten`."""

    type: Literal["flatten"] = "flatten"
    examples = (Example({"type": "flatten"}, (4, 3, 2), (24,)), Example({"type": "flatten"}, (5,), (5,)))

    def output_shape(self, shape: Shape) -> Shape:
        return (math.prod(shape),)

    def apply(self, x: Activation, bound: Bound, plan: Plan) -> Activation:
        return plan.flatten(x)
