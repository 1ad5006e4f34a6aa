"""Stochastic gradient descent."""

from __future__ import annotations

from typing import Annotated, Literal

import optax
from pydantic import Field, ValidationInfo, field_validator

from nets.errors import BrokenRule
from nets.optimizers.base import OPTIMIZERS, Decay, LearningRate, Numbers, Optimizer, WeightDecay
from nets.spec.fields import Boolean
from nets.spec.traced import Traced


@OPTIMIZERS.register
class Sgd(Optimizer):
    """`torch.optim.SGD`: momentum without dampening, weight decay added to the gradient."""

    type: Literal["sgd"] = "sgd"

    usual_lr = (5e-4, 0.5)
    lr: LearningRate = 0.1
    momentum: Annotated[Decay, Traced(absent=0.0)] = Field(
        default=0.0, description="Share of the last step that is kept."
    )
    nesterov: Boolean = Field(default=False, description="Nesterov's momentum; needs a momentum above 0.")
    weight_decay: Annotated[WeightDecay, Traced(absent=0.0)] = 0.0

    @field_validator("nesterov")
    @classmethod
    def has_momentum(cls, nesterov: bool, info: ValidationInfo) -> bool:
        """Nesterov's is a kind of momentum."""
        if nesterov and info.data.get("momentum") == 0:
            raise BrokenRule(
                "needs a momentum greater than 0; send one, such as 0.9", "conflict", expected=False, set_to=False
            )
        return nesterov

    @property
    def slots(self) -> int:
        return int(self.momentum > 0)

    def state_kind(self) -> str:
        return "sgd with momentum" if self.momentum else "sgd without momentum"

    def transform(self, n: Numbers) -> optax.GradientTransformation:
        return optax.chain(
            optax.add_decayed_weights(n["weight_decay"]) if "weight_decay" in n else optax.identity(),
            optax.trace(n["momentum"], nesterov=self.nesterov) if "momentum" in n else optax.identity(),
            optax.scale_by_learning_rate(n["lr"]),
        )
