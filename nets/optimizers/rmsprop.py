"""RMSprop."""

from __future__ import annotations

from typing import Annotated, Literal

import optax
from pydantic import Field

from nets.optimizers.base import OPTIMIZERS, Decay, Eps, Ignored, LearningRate, Numbers, Optimizer, WeightDecay
from nets.spec.traced import Traced


@OPTIMIZERS.register
class RmsProp(Optimizer):
    """`torch.optim.RMSprop`: eps outside the root, weight decay added to the gradient. Hinton, 2012."""

    type: Literal["rmsprop"] = "rmsprop"

    usual_lr = (1e-5, 0.01)
    lr: LearningRate = 0.01
    alpha: Annotated[Decay, Traced()] = Field(default=0.99, description="Decay of the mean of the squared gradient.")
    eps: Eps = 1e-8
    weight_decay: Annotated[WeightDecay, Traced()] = 0.0

    ignored = Ignored
    divides = True

    @property
    def slots(self) -> int:
        return 1

    def transform(self, n: Numbers) -> optax.GradientTransformation:
        return optax.chain(
            optax.add_decayed_weights(n["weight_decay"]),
            optax.scale_by_rms(decay=n["alpha"], eps=n["eps"], eps_in_sqrt=False),
            optax.scale_by_learning_rate(n["lr"]),
        )
