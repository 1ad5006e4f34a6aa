"""Batch normalisation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

import jax
import jax.numpy as jnp
from jax import Array
from pydantic import Field

from nets.layers.base import Bound, Doubted, Example, Layer, register
from nets.layers.drawing import spread
from nets.layers.parameters import Arrays, Parameter, ones, zeros
from nets.numerics.normalise import Moments, normalised
from nets.spec.fields import Boolean, Real, Width
from nets.spec.values import Value, features, image, sequence

Eps = Annotated[Real, Field(gt=0, le=1, description="Added to the variance.")]
NEW_WEIGHT = "Weight of the new batch in the running statistics."
Momentum = Annotated[Real, Field(ge=0, le=1, description=NEW_WEIGHT)]
Affine = Annotated[Boolean, Field(description="Whether each channel gets a trained factor and a trained constant.")]
Constant = Annotated[
    Boolean,
    Field(description="Whether each channel gets a trained constant beside its factor, where `affine` is true."),
]
USUAL = 0.5  # momentum, at most: what is above is mostly that of a framework which weighs the old value


def affine(width: tuple[int], factor: bool, constant: bool) -> dict[str, Parameter]:
    """A trained factor for each channel, and a constant beside it."""
    if not factor:
        return {}
    return {"scale": Parameter(width, ones, torch="weight"), **({"bias": Parameter(width, zeros)} if constant else {})}


class BatchNorm(Layer):
    """Normalise each channel over the batch, then scale and shift. Ioffe & Szegedy, 2015."""

    num_features: Width | None = Field(default=None, description="Channels or features of the input; may be left out.")
    eps: Eps = 1e-5
    momentum: Annotated[Real, Field(ge=0, le=1)] | None = Field(
        default=0.1, description=f"{NEW_WEIGHT} null: the running statistics are the mean of all batches."
    )
    affine: Affine = True
    track_running_stats: Boolean = Field(
        default=True, description="Whether running statistics normalise in evaluation; else each batch does by its own."
    )
    bias: Constant = True

    declares = "num_features"
    layouts = "any"
    across_batch = True

    def doubts(self) -> Iterator[Doubted]:
        if self.momentum is None or not self.track_running_stats:
            return
        meaning = f"{self.momentum:g} is the weight of each new batch in the running statistics, as in PyTorch"
        keras = f"Keras's momentum of {self.momentum:g} is {1 - self.momentum:.6g} here"
        if self.momentum == 0:
            never = "those stay at mean 0 and variance 1, and evaluation normalises by them"
            yield Doubted("norm_momentum", "momentum", f"{meaning}: {never}", f"{keras}; leave it out for 0.1")
        elif self.momentum > USUAL:
            yield Doubted("norm_momentum", "momentum", meaning, keras)

    def arrays(self, *inputs: Value) -> Arrays:
        width = (inputs[0].channels,)
        tracked = {
            "mean": Parameter(width, zeros, torch="running_mean"),
            "var": Parameter(width, ones, torch="running_var"),
            **({"batches": Parameter((), zeros, torch="num_batches_tracked")} if self.momentum is None else {}),
        }
        return Arrays(affine(width, self.affine, self.bias), tracked if self.track_running_stats else {})

    @property
    def compares(self) -> bool:
        return not self.track_running_stats

    def affine_of(self, bound: Bound) -> tuple[Array, Array]:
        """What each channel is multiplied by, and what is added to it."""
        scale, bias, width = bound.given("scale"), bound.given("bias"), bound.takes[0].channels
        return jnp.ones(width) if scale is None else scale, jnp.zeros(width) if bias is None else bias

    def track(self, bound: Bound, moments: Moments) -> None:
        """Move the running statistics towards those of a batch; the variance that they keep is unbiased."""
        if not bound.train or not self.track_running_stats:
            return
        weight: float | Array
        if self.momentum is None:
            batches = bound.statistic("batches") + 1
            bound.update("batches", batches)
            weight = 1 / batches
        else:
            weight = self.momentum
        unbiased = moments.var * (moments.count / (moments.count - 1))
        for name, seen in (("mean", moments.mean), ("var", unbiased)):
            bound.update(name, (1 - weight) * bound.statistic(name) + weight * jax.lax.stop_gradient(seen))

    def running(self, bound: Bound) -> tuple[Array, Array] | None:
        """The running mean and variance where they normalise, None where the batch's own moments do.

        A channel of a single value has no moments: its mean is itself, its variance 0, and it would leave as 0. While
        training it is normalised as it will be afterwards, and moves no statistics.
        """
        several = bound.batch * bound.takes[0].positions > 1
        if not self.track_running_stats or (bound.train and several):
            return None
        return bound.statistic("mean"), bound.statistic("var")

    def apply(self, bound: Bound, *xs: Array) -> Array:
        scale, bias = self.affine_of(bound)
        counted = None if bound.counted is None else spread(bound.counted, "B", bound)
        y, moments = normalised(
            *(xs[0], scale, bias), axis=bound.axis("C"), eps=self.eps, running=self.running(bound), counted=counted
        )
        if moments is not None:
            self.track(bound, moments)
        return y


@register
class BatchNorm1d(BatchNorm):
    """Each feature normalised over the batch, and over the steps of sequences. PyTorch's `nn.BatchNorm1d`."""

    type: Literal["batchnorm1d"] = "batchnorm1d"

    also = ("batch_norm1d",)
    takes = ("features", "sequence")
    cures = {"image": "use batchnorm2d, or put flatten before it"}
    examples = (
        Example({"type": "batchnorm1d"}, (features(6),), features(6)),
        Example(
            {"type": "batchnorm1d", "num_features": 5, "affine": False, "momentum": None}, (features(5),), features(5)
        ),
        Example({"type": "batchnorm1d"}, (sequence(5, 6),), sequence(5, 6)),
    )


@register
class BatchNorm2d(BatchNorm):
    """Batch normalisation of an image's channels. PyTorch's `nn.BatchNorm2d`."""

    type: Literal["batchnorm2d"] = "batchnorm2d"

    also = ("batch_norm2d",)
    takes = ("image",)
    cures = {
        "features": "use batchnorm1d, or put it before flatten",
        "sequence": "use batchnorm1d, which normalises the features of a sequence",
    }
    examples = (
        Example({"type": "batchnorm2d"}, (image(2, 4, 3),), image(2, 4, 3)),
        Example(
            {"type": "batchnorm2d", "num_features": 3, "eps": 1e-3, "momentum": 0.2}, (image(3, 4, 4),), image(3, 4, 4)
        ),
        Example({"type": "batchnorm2d", "track_running_stats": False}, (image(2, 3, 4),), image(2, 3, 4)),
    )
