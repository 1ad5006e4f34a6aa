"""Lion."""

from __future__ import annotations

from typing import Annotated, Literal

import optax
from pydantic import Field

from nets.optimizers.base import OPTIMIZERS, Betas, Ignored, LearningRate, Numbers, Optimizer, WeightDecay, decayed
from nets.spec.traced import Traced


@OPTIMIZERS.register
class Lion(Optimizer):
    """Steps by the sign of a mean, weight decay beside the gradient. As `optax.lion` has it. Chen et al., 2023."""

    type: Literal["lion"] = "lion"

    usual_lr = (1e-6, 1e-3)
    lr: LearningRate = 0.0001
    betas: Betas = Field(default=(0.9, 0.99), description="Share of the mean in the step, and decay of the mean.")
    weight_decay: Annotated[WeightDecay, Traced()] = 0.001

    ignored = Ignored

    @property
    def slots(self) -> int:
        return 1

    def transform(self, n: Numbers) -> optax.GradientTransformation:
        return optax.chain(
            optax.scale_by_lion(b1=n["b1"], b2=n["b2"]), decayed(n), optax.scale_by_learning_rate(n["lr"])
        )
