"""Batch normalisation."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Literal, Self

import jax
from pydantic import Field

from nets.kernels.plan import Activation, Bound, Plan
from nets.layers.base import Example, Layer, Misfit, Parameter, Shape, described, ones, register, zeros
from nets.numerics.normalise import Moments
from nets.spec.fields import Real, Width

Eps = Annotated[Real, Field(gt=0, le=1)]
Momentum = Annotated[Real, Field(ge=0, le=1)]
USUAL = 0.5  # momentum, at most: what is above is mostly that of a framework which weighs the old value


def doubts_about(momentum: float) -> Iterator[tuple[str, str]]:
    """A momentum that means something else in Keras."""
    if momentum > USUAL:
        meaning = "the weight of each new batch in the running statistics, as in PyTorch"
        yield "momentum", f"{momentum:g} is {meaning}; Keras's momentum of {momentum:g} is {1 - momentum:.6g} here"


def tracked(running: jax.Array, seen: jax.Array, momentum: float) -> jax.Array:
    """PyTorch's running statistics: `momentum` is the weight of the new value."""
    return (1 - momentum) * running + momentum * jax.lax.stop_gradient(seen)


def unbiased(moments: Moments) -> jax.Array:
    """The variance that running statistics keep."""
    return moments.var * (moments.count / (moments.count - 1))


def statistics_of(bound: Bound, mean: str, var: str) -> tuple[jax.Array, jax.Array] | None:
    """The running mean and variance where they normalise, None where the batch's own do.

    A channel of a single value has no moments: its mean is itself, its variance 0, and it would leave as 0. While
    training it is normalised as it will be afterwards, and moves no statistics.
    """
    if bound.train and bound.batch * math.prod(bound.in_shape[1:]) > 1:
        return None
    return bound.statistic(mean), bound.statistic(var)


class BatchNorm(Layer):
    """Normalise each channel over the batch, then scale and shift. Ioffe & Szegedy, 2015."""

    num_features: Width | None = Field(None, description="Channels or features; told by the layer before.")
    eps: Eps = 1e-5
    momentum: Momentum = Field(0.1, description="Weight of the new batch in the running statistics.")

    def misfits(self, shape: Shape) -> Iterator[Misfit]:
        yield from super().misfits(shape)
        if self.num_features is not None and self.num_features != shape[0]:
            unit = "channel" if len(shape) == 3 else ""
            yield Misfit.declared(self, "num_features", self.num_features, shape[0], unit=unit)

    def doubts(self) -> Iterator[tuple[str, str]]:
        return doubts_about(self.momentum)

    def filled(self, shape: Shape) -> Self:
        return self.model_copy(update={"num_features": shape[0]})

    def parameters(self, shape: Shape) -> dict[str, Parameter]:
        return {"scale": Parameter((shape[0],), ones), "bias": Parameter((shape[0],), zeros)}

    def statistics(self, shape: Shape) -> dict[str, Parameter]:
        return {"mean": Parameter((shape[0],), zeros), "var": Parameter((shape[0],), ones)}

    def track(self, bound: Bound, moments: Moments) -> None:
        """Move the running statistics towards those of a batch."""
        bound.update("mean", tracked(bound.statistic("mean"), moments.mean, self.momentum))
        bound.update("var", tracked(bound.statistic("var"), unbiased(moments), self.momentum))

    def running(self, bound: Bound) -> tuple[jax.Array, jax.Array] | None:
        """What normalises instead of the batch's own moments, if anything."""
        return statistics_of(bound, "mean", "var")

    def apply(self, x: Activation, bound: Bound, plan: Plan) -> Activation:
        running = self.running(bound)
        x, moments = plan.batch_norm(x, bound.param("scale"), bound.param("bias"), eps=self.eps, running=running)
        if moments is not None:
            self.track(bound, moments)
        return x


@register
class BatchNorm1d(BatchNorm):
    """Batch normalisation of features. PyTorch's `nn.BatchNorm1d`."""

    type: Literal["batchnorm1d"] = "batchnorm1d"

    takes = "features"
    examples = (
        Example({"type": "batchnorm1d"}, (6,), (6,)),
        Example({"type": "batchnorm1d", "num_features": 5}, (5,), (5,)),
    )

    def misfits(self, shape: Shape) -> Iterator[Misfit]:
        if len(shape) == 3:
            cure = "use batchnorm2d, or put flatten before it"
            yield Misfit(None, f"batchnorm1d expects features, got an image ({described(shape)}); {cure}", fatal=True)
            return
        yield from super().misfits(shape)


@register
class BatchNorm2d(BatchNorm):
    """Batch normalisation of an image's channels. PyTorch's `nn.BatchNorm2d`."""

    type: Literal["batchnorm2d"] = "batchnorm2d"

    takes = "image"
    examples = (
        Example({"type": "batchnorm2d"}, (2, 4, 3), (2, 4, 3)),
        Example({"type": "batchnorm2d", "num_features": 3, "eps": 1e-3, "momentum": 0.2}, (3, 4, 4), (3, 4, 4)),
    )

    def misfits(self, shape: Shape) -> Iterator[Misfit]:
        if len(shape) == 1:
            cure = "use batchnorm1d, or put it before flatten"
            yield Misfit(None, f"batchnorm2d expects an image, got {shape[0]} features; {cure}", fatal=True)
            return
        yield from super().misfits(shape)
