"""Layers that drop values while training, or add noise to them, and let them pass afterwards."""

from __future__ import annotations

from typing import Annotated, Literal

import jax
import jax.numpy as jnp
from jax import Array
from pydantic import Field

from nets.layers.base import Bound, Cost, Example, Layer, register
from nets.layers.drawing import order_of, spread
from nets.layers.ignored import InPlace
from nets.numerics.normalise import keep_mask
from nets.spec.fields import Real
from nets.spec.traced import Traced
from nets.spec.values import Value, features, image, sequence

SATURATED = 1.7580993408473766  # how far below 0 a selu levels off


class Dropping(Layer):
    """Base of the types that change values with a probability while training."""

    p: Annotated[Real, Field(ge=0, lt=1), Traced()] = Field(
        default=0.5, description="Probability that a value is dropped."
    )

    aliases = {"rate": "p"}
    ignored = InPlace
    layouts = "any"
    random = True
    keeps_values = True

    @property
    def idle(self) -> bool:
        return self.p == 0

    def drawn(self, *inputs: Value) -> int:
        """How many random numbers one sample takes."""
        return inputs[0].size

    def cost(self, *inputs: Value) -> Cost:
        return super().cost(*inputs)._replace(drawn=self.drawn(*inputs))

    def mask(self, bound: Bound, x: Array, axes: str) -> Array:
        """0 with probability p, otherwise 1 / (1 - p), for what lies along `axes` each; drawn in that order."""
        shape = tuple(x.shape[bound.axis(name)] for name in axes)
        return spread(keep_mask(bound.key(), bound.number("p"), shape), axes, bound)


class DroppingChannels(Dropping):
    """Base of the types that drop channels as a whole."""

    p: Annotated[Real, Field(ge=0, lt=1), Traced()] = Field(
        default=0.5, description="Probability that a channel is dropped."
    )

    def drawn(self, *inputs: Value) -> int:
        return inputs[0].channels


@register
class Dropout(Dropping):
    """Zero each value with probability `p` while training and scale the rest by 1 / (1 - p). PyTorch's `nn.Dropout`."""

    type: Literal["dropout"] = "dropout"

    examples = (
        Example({"type": "dropout", "p": 0.5}, (features(128),), features(128)),
        Example({"type": "dropout", "rate": 0.1}, (image(3, 4, 4),), image(3, 4, 4)),
        Example({"type": "dropout"}, (sequence(5, 6),), sequence(5, 6)),
    )

    def apply(self, bound: Bound, *xs: Array) -> Array:
        if not bound.train:
            return xs[0]
        return xs[0] * self.mask(bound, xs[0], order_of(bound))


@register
class Dropout1d(DroppingChannels):
    """Zero features of a sequence in all its steps while training. PyTorch's `nn.Dropout1d`. Tompson et al., 2015."""

    type: Literal["dropout1d"] = "dropout1d"

    also = ("spatialdropout1d", "spatial_dropout1d")
    takes = ("sequence",)
    cures = {"features": "use dropout", "image": "use dropout2d"}
    examples = (Example({"type": "dropout1d", "p": 0.25}, (sequence(3, 6),), sequence(3, 6)),)

    def apply(self, bound: Bound, *xs: Array) -> Array:
        return xs[0] * self.mask(bound, xs[0], "BC") if bound.train else xs[0]


@register
class Dropout2d(DroppingChannels):
    """Zero whole channels of an image while training. PyTorch's `nn.Dropout2d`. Tompson et al., 2015."""

    type: Literal["dropout2d"] = "dropout2d"

    also = ("spatialdropout2d", "spatial_dropout2d")
    takes = ("image",)
    cures = {"features": "use dropout", "sequence": "use dropout1d"}
    examples = (Example({"type": "dropout2d", "p": 0.25}, (image(3, 3, 4),), image(3, 3, 4)),)

    def apply(self, bound: Bound, *xs: Array) -> Array:
        return xs[0] * self.mask(bound, xs[0], "BC") if bound.train else xs[0]


@register
class AlphaDropout(Dropping):
    """Set values to where selu levels off with probability `p` while training, and keep mean and variance.

    PyTorch's `nn.AlphaDropout`. Klambauer et al., 2017.
    """

    type: Literal["alphadropout"] = "alphadropout"

    also = ("alpha_dropout",)
    examples = (Example({"type": "alphadropout", "p": 0.25}, (features(6),), features(6)),)

    def apply(self, bound: Bound, *xs: Array) -> Array:
        if not bound.train:
            return xs[0]
        axes = order_of(bound)
        return saturated(bound, xs[0], self.mask(bound, xs[0], axes))


@register
class FeatureAlphaDropout(DroppingChannels):
    """Set whole channels to where selu levels off with probability `p` while training, and keep mean and variance.

    PyTorch's `nn.FeatureAlphaDropout`. Klambauer et al., 2017.
    """

    type: Literal["featurealphadropout"] = "featurealphadropout"

    also = ("feature_alpha_dropout",)
    takes = ("image", "sequence")
    cures = {"features": "use alphadropout"}
    examples = (Example({"type": "featurealphadropout", "p": 0.25}, (image(3, 3, 4),), image(3, 3, 4)),)

    def apply(self, bound: Bound, *xs: Array) -> Array:
        return saturated(bound, xs[0], self.mask(bound, xs[0], "BC")) if bound.train else xs[0]


@register
class DropPath(Dropping):
    """Zero a whole sample with probability `p` while training and scale the rest by 1 / (1 - p): stochastic depth.

    Put it last in the branch of a residual connection. torchvision's `StochasticDepth` by rows. Huang et al., 2016.
    """

    type: Literal["droppath"] = "droppath"
    p: Annotated[Real, Field(ge=0, lt=1), Traced()] = Field(
        default=0.5, description="Probability that a sample is dropped."
    )

    also = ("drop_path", "stochasticdepth", "stochastic_depth")
    examples = (Example({"type": "droppath", "p": 0.25}, (image(2, 3, 4),), image(2, 3, 4)),)

    def drawn(self, *inputs: Value) -> int:
        return 1

    def apply(self, bound: Bound, *xs: Array) -> Array:
        return xs[0] * self.mask(bound, xs[0], "B") if bound.train else xs[0]


@register
class GaussianNoise(Layer):
    """Add normal noise to each value while training. Keras's `GaussianNoise`. Bishop, 1995."""

    type: Literal["gaussiannoise"] = "gaussiannoise"
    std: Annotated[Real, Field(ge=0, le=1000), Traced()] = Field(default=0.1, description="Deviation of the noise.")

    also = ("gaussian_noise",)
    aliases = {"stddev": "std", "sigma": "std"}
    layouts = "any"
    random = True
    keeps_values = True
    examples = (Example({"type": "gaussiannoise", "std": 0.2}, (image(2, 3, 4),), image(2, 3, 4)),)

    @property
    def idle(self) -> bool:
        return self.std == 0

    def apply(self, bound: Bound, *xs: Array) -> Array:
        if not bound.train:
            return xs[0]
        axes = order_of(bound)
        drawn = jax.random.normal(bound.key(), tuple(xs[0].shape[bound.axis(name)] for name in axes))
        return xs[0] + bound.number("std") * spread(drawn, axes, bound)


def saturated(bound: Bound, x: Array, mask: Array) -> Array:
    """Values where the mask is 0 set to where selu levels off, and all brought back to mean 0 and variance 1."""
    p = bound.number("p")
    scale = jax.lax.rsqrt((SATURATED**2 * p + 1) * (1 - p))
    return scale * (jnp.where(mask > 0, x, -SATURATED) + SATURATED * p)
