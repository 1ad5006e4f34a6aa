"""Adam by the largest gradient."""

from __future__ import annotations

from typing import Literal

import optax
from pydantic import Field

from nets.optimizers.adaptive import OfMeans
from nets.optimizers.base import OPTIMIZERS, Betas, LearningRate, Numbers, decayed


@OPTIMIZERS.register
class Adamax(OfMeans):
    """`torch.optim.Adamax`: Adam that divides by the largest gradient so far. Kingma & Ba, 2015."""

    type: Literal["adamax"] = "adamax"

    usual_lr = (2e-5, 0.02)
    lr: LearningRate = 0.002
    betas: Betas = Field(
        default=(0.9, 0.999), description="Decay of the mean of the gradient and of its largest amount."
    )

    def transform(self, n: Numbers) -> optax.GradientTransformation:
        return optax.chain(
            decayed(n),
            optax.scale_by_adamax(b1=n["b1"], b2=n["b2"], eps=n["eps"]),
            optax.scale_by_learning_rate(n["lr"]),
        )
