"""Losses of how far outputs are from their targets."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import jax.numpy as jnp
import optax
from pydantic import Field

from nets.losses.base import LOSSES, Each, Numbers, OfNumbers, Outputs
from nets.spec.fields import Real
from nets.spec.traced import Traced

TINY = 1e-12  # PyTorch's, of squared lengths


@LOSSES.register
class MeanSquaredError(OfNumbers):
    """The squared difference. PyTorch's `nn.MSELoss`; of a softmax the score of Brier, 1950."""

    type: Literal["mse"] = "mse"

    also = ("mean_squared_error",)
    examples = ({"type": "mse"},)

    def between(self, outputs: Outputs, values: Outputs, n: Numbers) -> Each:
        return ((outputs - values) ** 2).mean(-1)


@LOSSES.register
class MeanAbsoluteError(OfNumbers):
    """The absolute difference. PyTorch's `nn.L1Loss`."""

    type: Literal["mae"] = "mae"

    also = ("mean_absolute_error",)
    examples = ({"type": "mae"},)

    def between(self, outputs: Outputs, values: Outputs, n: Numbers) -> Each:
        return jnp.abs(outputs - values).mean(-1)


@LOSSES.register
class Huber(OfNumbers):
    """Half the squared difference up to delta, delta times the rest beyond. PyTorch's `nn.HuberLoss`. Huber, 1964."""

    type: Literal["huber"] = "huber"
    delta: Annotated[Real, Field(gt=0, le=1e6), Traced()] = Field(
        default=1.0, description="Up to which difference it is squared."
    )

    also = ("huber_loss",)
    examples = ({"type": "huber", "delta": 1},)

    def between(self, outputs: Outputs, values: Outputs, n: Numbers) -> Each:
        each: Any = optax.huber_loss(outputs, values, delta=n["delta"]).mean(-1)
        return each


@LOSSES.register
class SmoothL1(OfNumbers):
    """Huber's loss divided by beta: a slope of 1 far away. PyTorch's `nn.SmoothL1Loss`. Girshick, 2015."""

    type: Literal["smooth_l1"] = "smooth_l1"
    beta: Annotated[Real, Field(ge=0, le=1e6), Traced(absent=0.0)] = Field(
        default=1.0, description="Up to which difference it is squared; 0 is the absolute difference."
    )

    also = ("smooth_mae",)
    examples = ({"type": "smooth_l1", "beta": 0.5},)

    def between(self, outputs: Outputs, values: Outputs, n: Numbers) -> Each:
        if "beta" not in n:
            return jnp.abs(outputs - values).mean(-1)
        each: Any = (optax.huber_loss(outputs, values, delta=n["beta"]) / n["beta"]).mean(-1)
        return each


@LOSSES.register
class LogCosh(OfNumbers):
    """log(cosh(difference)): squared near 0, absolute far away, smooth throughout. optax's `log_cosh`."""

    type: Literal["log_cosh"] = "log_cosh"

    also = ("logcosh",)
    examples = ({"type": "log_cosh"},)

    def between(self, outputs: Outputs, values: Outputs, n: Numbers) -> Each:
        each: Any = optax.log_cosh(outputs, values).mean(-1)
        return each


@LOSSES.register
class CosineLoss(OfNumbers):
    """1 - the cosine between outputs and targets. PyTorch's `nn.CosineEmbeddingLoss` with a target of 1."""

    type: Literal["cosine"] = "cosine"

    also = ("cosine_similarity", "cosine_distance")
    examples = ({"type": "cosine"},)

    def between(self, outputs: Outputs, values: Outputs, n: Numbers) -> Each:
        squares = ((outputs**2).sum(-1) + TINY) * ((values**2).sum(-1) + TINY)
        return 1 - (outputs * values).sum(-1) / jnp.sqrt(squares)
