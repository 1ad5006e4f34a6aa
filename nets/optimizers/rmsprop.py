"""RMSprop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import jax.numpy as jnp
import optax
from jax import Array
from pydantic import Field

from nets.optimizers.adaptive import Adaptive
from nets.optimizers.base import (
    OPTIMIZERS,
    Decay,
    Eps,
    Ignored,
    IgnoredNesterov,
    LearningRate,
    Numbers,
    Optimizer,
    WeightDecay,
    decayed,
)
from nets.optimizers.each import Arrays, each, mean
from nets.spec.fields import Boolean
from nets.spec.registry import Fields
from nets.spec.traced import Traced


@OPTIMIZERS.register
class RmsProp(Adaptive):
    """`torch.optim.RMSprop`: eps outside the root, weight decay added to the gradient. Hinton, 2012.

    `momentum` counts beside `alpha` or `centered`, which no other optimizer has. Without them it is ignored, and a
    warning says so: visual builders send the momentum of sgd along with every optimizer.
    """

    type: Literal["rmsprop"] = "rmsprop"

    lr: LearningRate = 0.01
    alpha: Annotated[Decay, Traced()] = Field(default=0.99, description="Decay of the mean of the squared gradient.")
    eps: Eps = 1e-8
    weight_decay: Annotated[WeightDecay, Traced()] = 0.0
    momentum: Annotated[Decay, Traced(absent=0.0)] = Field(
        default=0.0, description="Share of the last step that is kept; send `alpha` or `centered` beside it."
    )
    centered: Boolean = Field(
        default=False, description="Divide by the deviation of the gradient: the square of its mean is subtracted."
    )

    aliases = {**Optimizer.aliases, "rho": "alpha", "epsilon": "eps"}
    ignored = IgnoredNesterov

    @classmethod
    def ignored_in(cls, sent: Mapping[str, Any]) -> Fields:
        meant = any(cls.aliases.get(name, name) in ("alpha", "centered") for name in sent)
        return IgnoredNesterov if meant else Ignored

    @property
    def slots(self) -> int:
        return 1 + self.centered + (self.momentum > 0)

    def state_kind(self) -> str:
        kinds = ["momentum"] * (self.momentum > 0) + ["centered"] * self.centered
        return f"rmsprop{' with ' * bool(kinds)}{' and '.join(kinds)}"

    def transform(self, n: Numbers) -> optax.GradientTransformation:
        by_size = optax.scale_by_rms(decay=n["alpha"], eps=n["eps"], eps_in_sqrt=False)
        return optax.chain(
            decayed(n),
            by_deviation(n) if self.centered else by_size,
            optax.trace(n["momentum"]) if "momentum" in n else optax.identity(),
            optax.scale_by_learning_rate(n["lr"]),
        )


def by_deviation(n: Numbers) -> optax.GradientTransformation:
    """Gradients divided by their deviation: optax's, but that rounding cannot make a variance negative."""

    def rule(t: Array, g: Array, x: Array, kept: Arrays) -> tuple[Array, Arrays]:
        middle, square = mean(n["alpha"], kept["mean"], g), mean(n["alpha"], kept["square"], g * g)
        deviation = jnp.sqrt(jnp.maximum(square - middle * middle, 0))
        return g / (deviation + n["eps"]), {"mean": middle, "square": square}

    return each(rule, "mean", "square")
