"""Optimizers whose steps follow the size of the weights, for large batches: LARS and LAMB."""

from __future__ import annotations

from typing import Annotated, Literal

import optax
from pydantic import Field

from nets.optimizers.adaptive import OfMeans
from nets.optimizers.base import OPTIMIZERS, Decay, Eps, LearningRate, Numbers, Optimizer, WeightDecay, decayed
from nets.spec.fields import Boolean, Real
from nets.spec.traced import Traced


@OPTIMIZERS.register
class Lamb(OfMeans):
    """Adam's steps, each array's as long as the array itself. As `optax.lamb` has it. You et al., 2020."""

    type: Literal["lamb"] = "lamb"

    usual_lr = (1e-4, 0.05)
    eps: Eps = 1e-6
    whole = True

    def transform(self, n: Numbers) -> optax.GradientTransformation:
        return optax.chain(
            optax.scale_by_adam(b1=n["b1"], b2=n["b2"], eps=n["eps"]),
            decayed(n),
            optax.scale_by_trust_ratio(),
            optax.scale_by_learning_rate(n["lr"]),
        )


@OPTIMIZERS.register
class Lars(Optimizer):
    """Momentum on gradients that are as long as a share of their array. As `optax.lars` has it. You et al., 2017."""

    type: Literal["lars"] = "lars"

    usual_lr = (0.01, 50)
    lr: LearningRate = 1.0
    momentum: Annotated[Decay, Traced()] = Field(default=0.9, description="Share of the last step that is kept.")
    nesterov: Boolean = Field(default=False, description="Nesterov's momentum.")
    weight_decay: Annotated[WeightDecay, Traced()] = 0.0
    trust_coefficient: Annotated[Real, Field(gt=0, le=1), Traced()] = Field(
        default=0.001, description="How long a gradient becomes, as a share of its array."
    )
    eps: Annotated[Real, Field(ge=0, le=1), Traced()] = Field(
        default=0.0, description="Added to the length of the gradient."
    )

    aliases = {**Optimizer.aliases, "epsilon": "eps"}
    whole = True

    @property
    def slots(self) -> int:
        return 1

    def transform(self, n: Numbers) -> optax.GradientTransformation:
        return optax.chain(
            decayed(n),
            optax.scale_by_trust_ratio(trust_coefficient=n["trust_coefficient"], eps=n["eps"]),
            optax.scale_by_learning_rate(n["lr"]),
            optax.trace(n["momentum"], nesterov=self.nesterov),
        )
