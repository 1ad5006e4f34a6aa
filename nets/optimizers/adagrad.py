"""Adagrad, and Adadelta, which came of it."""

from __future__ import annotations

from typing import Annotated, Literal

import jax.numpy as jnp
import optax
from jax import Array
from pydantic import Field

from nets.optimizers.adaptive import Adaptive
from nets.optimizers.base import OPTIMIZERS, Decay, Eps, LearningRate, Numbers, WeightDecay, decayed
from nets.optimizers.each import Arrays, each
from nets.spec.fields import Real
from nets.spec.traced import Traced


@OPTIMIZERS.register
class Adagrad(Adaptive):
    """`torch.optim.Adagrad`: divided by the root of the sum of all squared gradients. Duchi et al., 2011."""

    type: Literal["adagrad"] = "adagrad"

    usual_lr = (1e-4, 0.1)
    lr: LearningRate = 0.01
    lr_decay: Annotated[Real, Field(ge=0, le=1000), Traced()] = Field(
        default=0.0, description="The learning rate is divided by 1 + `lr_decay` for each step before."
    )
    weight_decay: Annotated[WeightDecay, Traced()] = 0.0
    initial_accumulator_value: Annotated[Real, Field(ge=0, le=1e6), Traced()] = Field(
        default=0.0, description="What the sum of squares begins with."
    )
    eps: Eps = 1e-10

    @property
    def slots(self) -> int:
        return 1

    def transform(self, n: Numbers) -> optax.GradientTransformation:
        def rule(t: Array, g: Array, x: Array, kept: Arrays) -> tuple[Array, Arrays]:
            total = kept["squares"] + g * g  # what it begins with is added here, so that its state begins with zeros
            root = jnp.sqrt(total + n["initial_accumulator_value"]) + n["eps"]
            return g / root / (1 + (t - 1) * n["lr_decay"]), {"squares": total}

        return optax.chain(decayed(n), each(rule, "squares"), optax.scale_by_learning_rate(n["lr"]))


@OPTIMIZERS.register
class Adadelta(Adaptive):
    """`torch.optim.Adadelta`: steps as large as those before, by the size of the gradient. Zeiler, 2012."""

    type: Literal["adadelta"] = "adadelta"

    usual_lr = (0.05, 2)
    lr: LearningRate = 1.0
    rho: Annotated[Decay, Traced()] = Field(
        default=0.9, description="Decay of the means of the squares of gradients and steps."
    )
    eps: Eps = 1e-6
    weight_decay: Annotated[WeightDecay, Traced()] = 0.0

    def transform(self, n: Numbers) -> optax.GradientTransformation:
        return optax.chain(
            decayed(n), optax.scale_by_adadelta(rho=n["rho"], eps=n["eps"]), optax.scale_by_learning_rate(n["lr"])
        )
