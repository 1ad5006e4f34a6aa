"""Functions of each value, and softmax."""

from __future__ import annotations

from typing import Literal

import jax
import jax.numpy as jnp

from nets.kernels.plan import Activation, Bound, Plan
from nets.layers.base import Example, Layer, register


@register
class Relu(Layer):
    """max(x, 0)."""

    type: Literal["relu"] = "relu"
    examples = (Example({"type": "relu"}, (3, 4, 4), (3, 4, 4)), Example({"type": "relu"}, (6,), (6,)))

    def apply(self, x: Activation, bound: Bound, plan: Plan) -> Activation:
        return plan.elementwise(jax.nn.relu, x)


@register
class Sigmoid(Layer):
    """1 / (1 + exp(-x))."""

    type: Literal["sigmoid"] = "sigmoid"
    examples = (Example({"type": "sigmoid"}, (3, 4, 4), (3, 4, 4)), Example({"type": "sigmoid"}, (6,), (6,)))

    def apply(self, x: Activation, bound: Bound, plan: Plan) -> Activation:
        return plan.elementwise(jax.nn.sigmoid, x)


@register
class Tanh(Layer):
    """Hyperbolic tangent."""

    type: Literal["tanh"] = "tanh"
    examples = (Example({"type": "tanh"}, (3, 4, 4), (3, 4, 4)), Example({"type": "tanh"}, (6,), (6,)))

    def apply(self, x: Activation, bound: Bound, plan: Plan) -> Activation:
        return plan.elementwise(jnp.tanh, x)


@register
class Softmax(Layer):
    """Probabilities over features, or over the channels of an image.

    As the last layer it is how the output is read, not a layer to train through: the loss takes the logits.
    """

    type: Literal["softmax"] = "softmax"
    examples = (Example({"type": "softmax"}, (10,), (10,)), Example({"type": "softmax"}, (4, 3, 3), (4, 3, 3)))

    def apply(self, x: Activation, bound: Bound, plan: Plan) -> Activation:
        return plan.softmax(x)
