"""What optimizers share that divide gradients by their size so far."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from nets.optimizers.base import MEANS, Betas, Eps, Ignored, LearningRate, Optimizer, WeightDecay
from nets.spec.fields import Boolean
from nets.spec.registry import Fields
from nets.spec.traced import Traced

Decoupled = Annotated[
    Boolean, Field(description="Weight decay beside the gradient, as in adamw, rather than added to it.")
]


class Adaptive(Optimizer):
    """Base of those that divide by a root of squares, or by a largest amount."""

    usual_lr = (1e-5, 0.01)
    aliases = {**Optimizer.aliases, "epsilon": "eps"}
    ignored: ClassVar[Fields] = Ignored
    divides = True


class OfMeans(Adaptive):
    """Base of those that keep means of the gradient and of its size: of adam, and what came of it."""

    lr: LearningRate = 0.001
    betas: Betas = Field(default=(0.9, 0.999), description=MEANS)
    eps: Eps = 1e-8
    weight_decay: Annotated[WeightDecay, Traced()] = 0.0
