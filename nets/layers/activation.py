"""The usual functions of each value, and softmax with its like."""

from __future__ import annotations

import math
from typing import Literal

import jax
import jax.numpy as jnp
from jax import Array

from nets.layers.base import Bound, Example, Layer, register
from nets.layers.ignored import InPlace
from nets.spec.values import features, image, sequence

ALONG_CHANNELS = "It goes along the features, or the channels of each pixel; leave it out, or put permute around it"


class Activation(Layer):
    """A function of each value."""

    ignored = InPlace
    layouts = "elementwise"


@register
class Relu(Activation):
    """max(x, 0). PyTorch's `nn.ReLU`. Nair & Hinton, 2010."""

    type: Literal["relu"] = "relu"

    bounds = (0, math.inf)
    examples = (
        Example({"type": "relu"}, (image(3, 4, 4),), image(3, 4, 4)),
        Example({"type": "relu"}, (features(6),), features(6)),
        Example({"type": "relu"}, (sequence(5, 6),), sequence(5, 6)),
    )

    def apply(self, bound: Bound, *xs: Array) -> Array:
        return jax.nn.relu(xs[0])


@register
class Sigmoid(Activation):
    """1 / (1 + exp(-x)). PyTorch's `nn.Sigmoid`. Rumelhart et al., 1986."""

    type: Literal["sigmoid"] = "sigmoid"

    bounds = (0, 1)
    examples = (
        Example({"type": "sigmoid"}, (image(3, 4, 4),), image(3, 4, 4)),
        Example({"type": "sigmoid"}, (features(6),), features(6)),
        Example({"type": "sigmoid"}, (sequence(5, 6),), sequence(5, 6)),
    )

    def apply(self, bound: Bound, *xs: Array) -> Array:
        return jax.nn.sigmoid(xs[0])


@register
class Tanh(Activation):
    """Hyperbolic tangent. PyTorch's `nn.Tanh`. LeCun et al., 1998."""

    type: Literal["tanh"] = "tanh"

    bounds = (-1, 1)
    examples = (
        Example({"type": "tanh"}, (image(3, 4, 4),), image(3, 4, 4)),
        Example({"type": "tanh"}, (features(6),), features(6)),
        Example({"type": "tanh"}, (sequence(5, 6),), sequence(5, 6)),
    )

    def apply(self, bound: Bound, *xs: Array) -> Array:
        return jnp.tanh(xs[0])


@register
class Softmax(Layer):
    """Probabilities over the features, or the channels of each pixel. PyTorch's `nn.Softmax` along them. Bridle, 1990.

    As the last layer it says how to read the output, and is not trained through: the loss takes the logits.
    """

    type: Literal["softmax"] = "softmax"

    refused = {"dim": ALONG_CHANNELS}
    layouts = "any"
    reads = True
    bounds = (0, 1)
    probabilities = True
    examples = (
        Example({"type": "softmax"}, (features(10),), features(10)),
        Example({"type": "softmax"}, (image(4, 3, 3),), image(4, 3, 3)),
        Example({"type": "softmax"}, (sequence(5, 6),), sequence(5, 6)),
    )

    def apply(self, bound: Bound, *xs: Array) -> Array:
        return jax.nn.softmax(xs[0], axis=bound.axis("C"))

    def read(self, logits: Array) -> Array:
        return jax.nn.softmax(logits, axis=-1)


@register
class LogSoftmax(Layer):
    """Logarithms of the probabilities over the features, or the channels of each pixel. PyTorch's `nn.LogSoftmax`.

    As the last layer it says how to read the output, like softmax: the loss takes the logits, predictions are
    probabilities.
    """

    type: Literal["logsoftmax"] = "logsoftmax"

    also = ("log_softmax",)
    refused = {"dim": ALONG_CHANNELS}
    layouts = "any"
    reads = True
    bounds = (-math.inf, 0)
    examples = (Example({"type": "logsoftmax"}, (image(3, 3, 4),), image(3, 3, 4)),)

    def apply(self, bound: Bound, *xs: Array) -> Array:
        return jax.nn.log_softmax(xs[0], axis=bound.axis("C"))

    def read(self, logits: Array) -> Array:
        return jax.nn.log_softmax(logits, axis=-1)


@register
class Softmin(Layer):
    """Probabilities like those of softmax, the largest for the least value. PyTorch's `nn.Softmin`."""

    type: Literal["softmin"] = "softmin"

    refused = {"dim": ALONG_CHANNELS}
    layouts = "any"
    bounds = (0, 1)
    probabilities = True
    examples = (Example({"type": "softmin"}, (image(3, 3, 4),), image(3, 3, 4)),)

    def apply(self, bound: Bound, *xs: Array) -> Array:
        return jax.nn.softmax(-xs[0], axis=bound.axis("C"))
