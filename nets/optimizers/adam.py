"""Adam and what came of it."""

from __future__ import annotations

from typing import Annotated, Literal

import optax
from pydantic import Field

from nets.optimizers.base import OPTIMIZERS, Betas, Eps, Ignored, LearningRate, Numbers, Optimizer, WeightDecay
from nets.spec.traced import Traced


class Adaptive(Optimizer):
    """What adam and adamw share."""

    usual_lr = (1e-5, 0.01)

    lr: LearningRate = 0.001
    betas: Betas = Field(default=(0.9, 0.999), description="Decay of the means of the gradient and of its square.")
    eps: Eps = 1e-8
    weight_decay: Annotated[WeightDecay, Traced()] = 0.0

    ignored = Ignored
    divides = True


@OPTIMIZERS.register
class Adam(Adaptive):
    """`torch.optim.Adam`: weight decay added to the gradient. Kingma & Ba, 2015."""

    type: Literal["adam"] = "adam"

    def transform(self, n: Numbers) -> optax.GradientTransformation:
        return optax.chain(
            optax.add_decayed_weights(n["weight_decay"]),
            optax.scale_by_adam(b1=n["b1"], b2=n["b2"], eps=n["eps"]),
            optax.scale_by_learning_rate(n["lr"]),
        )


@OPTIMIZERS.register
class AdamW(Adaptive):
    """`torch.optim.AdamW`: weight decay beside the gradient. Loshchilov & Hutter, 2019."""

    type: Literal["adamw"] = "adamw"
    weight_decay: Annotated[WeightDecay, Traced()] = 0.01

    def transform(self, n: Numbers) -> optax.GradientTransformation:
        return optax.chain(
            optax.scale_by_adam(b1=n["b1"], b2=n["b2"], eps=n["eps"]),
            optax.add_decayed_weights(n["weight_decay"]),
            optax.scale_by_learning_rate(n["lr"]),
        )
