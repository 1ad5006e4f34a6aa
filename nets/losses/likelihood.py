"""Losses of networks that end in logarithms of probabilities, or in rates."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import jax.numpy as jnp
from jax.scipy.special import xlogy
from pydantic import Field

from nets.losses.base import LOSSES, Each, Numbers, OfNumbers, Outputs, Targets
from nets.losses.entropy import OfClasses
from nets.spec.fields import Boolean, Real
from nets.spec.traced import Traced


@LOSSES.register
class NegativeLogLikelihood(OfClasses):
    """The negative of what the network gives for the sample's class. PyTorch's `nn.NLLLoss`.

    For networks that end in logarithms of probabilities, as `logsoftmax` gives them.
    """

    type: Literal["nll"] = "nll"

    takes = "output"
    wants = "log_probabilities"
    also = ("nll_loss", "negative_log_likelihood")
    examples = ({"type": "nll"},)

    def each(self, outputs: Outputs, targets: Targets, n: Numbers, *, platform: str) -> Each:
        return self.of_logarithms(outputs, targets, n)


@LOSSES.register
class KlDiv(OfNumbers):
    """How far probabilities are from the targets, whose logarithms the network ends in. PyTorch's `nn.KLDivLoss`.

    Of one-hot targets it is `nll`, by the number of classes with the reduction `mean`. Kullback & Leibler, 1951.
    """

    type: Literal["kl_div"] = "kl_div"
    reduction: Literal["mean", "batchmean"] = Field(
        default="mean",
        description="`mean` divides by samples and classes, `batchmean` by samples, as the divergence does.",
    )

    wants = "log_probabilities"
    also = ("kl_divergence", "kldiv", "kullback_leibler")
    examples = ({"type": "kl_div", "reduction": "batchmean"},)

    def between(self, outputs: Outputs, values: Outputs, n: Numbers) -> Each:
        parts = xlogy(values, values) - values * outputs
        return parts.mean(-1) if self.reduction == "mean" else parts.sum(-1)


@LOSSES.register
class PoissonNll(OfNumbers):
    """Of counts whose rates, or the logarithms of these, the network gives. PyTorch's `nn.PoissonNLLLoss`."""

    type: Literal["poisson_nll"] = "poisson_nll"
    log_input: Boolean = Field(default=True, description="Whether the network gives the logarithms of the rates.")
    full: Boolean = Field(default=False, description="Whether Stirling's approximation of log(target!) is added.")
    eps: Annotated[Real, Field(gt=0, le=1), Traced()] = Field(
        default=1e-8, description="Added to the rates before their logarithm is taken, without log_input."
    )

    also = ("poisson",)
    examples = ({"type": "poisson_nll"},)

    def between(self, outputs: Outputs, values: Outputs, n: Numbers) -> Each:
        if self.log_input:
            parts = jnp.exp(outputs) - values * outputs
        else:
            parts = outputs - values * jnp.log(outputs + n["eps"])
        if self.full:
            many = jnp.where(values > 1, values, 1)
            parts += jnp.where(values > 1, many * jnp.log(many) - many + 0.5 * jnp.log(2 * math.pi * many), 0)
        return parts.mean(-1)
