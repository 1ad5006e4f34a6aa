"""Stochastic gradient descent."""

from __future__ import annotations

from typing import Annotated, Literal

import jax.numpy as jnp
import optax
from jax import Array
from pydantic import Field, ValidationInfo, field_validator

from nets.errors import BrokenRule
from nets.optimizers.base import OPTIMIZERS, Decay, LearningRate, Numbers, Optimizer, WeightDecay, decayed
from nets.optimizers.each import Arrays, each
from nets.spec.fields import Boolean, Real
from nets.spec.traced import Traced


@OPTIMIZERS.register
class Sgd(Optimizer):
    """`torch.optim.SGD`: weight decay added to the gradient."""

    type: Literal["sgd"] = "sgd"

    usual_lr = (5e-4, 0.5)
    lr: LearningRate = 0.1
    momentum: Annotated[Decay, Traced(absent=0.0)] = Field(
        default=0.0, description="Share of the last step that is kept."
    )
    dampening: Annotated[Real, Field(ge=0, le=1), Traced(absent=0.0)] = Field(
        default=0.0, description="Share of each gradient that momentum leaves out, but for the first one."
    )
    nesterov: Boolean = Field(
        default=False, description="Nesterov's momentum; needs a momentum above 0, and no dampening."
    )
    weight_decay: Annotated[WeightDecay, Traced(absent=0.0)] = 0.0

    @field_validator("nesterov")
    @classmethod
    def has_momentum(cls, nesterov: bool, info: ValidationInfo) -> bool:
        """Nesterov's is a kind of momentum."""
        if nesterov and info.data.get("momentum") == 0:
            raise BrokenRule(
                "needs a momentum greater than 0; send one, such as 0.9", "conflict", expected=False, set_to=False
            )
        if nesterov and info.data.get("dampening"):
            raise BrokenRule("needs a dampening of 0; send one of the two", "conflict", expected=False, set_to=False)
        return nesterov

    @property
    def slots(self) -> int:
        return int(self.momentum > 0)

    def state_kind(self) -> str:
        if not self.momentum:
            return "sgd without momentum"
        return f"sgd with momentum{' and dampening' * bool(self.dampening)}"

    def transform(self, n: Numbers) -> optax.GradientTransformation:
        return optax.chain(
            decayed(n),
            self.moved(n) if "momentum" in n else optax.identity(),
            optax.scale_by_learning_rate(n["lr"]),
        )

    def moved(self, n: Numbers) -> optax.GradientTransformation:
        """The steps that momentum makes of gradients."""
        if "dampening" not in n:
            return optax.trace(n["momentum"], nesterov=self.nesterov)

        def rule(t: Array, g: Array, x: Array, kept: Arrays) -> tuple[Array, Arrays]:
            step = n["momentum"] * kept["step"] + jnp.where(t == 1, 1, 1 - n["dampening"]) * g
            return step, {"step": step}

        return each(rule, "step")
