"""Adam, with weight decay in the gradient or beside it."""

from __future__ import annotations

from typing import Annotated, Literal

import jax.numpy as jnp
import optax
from jax import Array
from pydantic import Field

from nets.optimizers.adaptive import OfMeans
from nets.optimizers.base import OPTIMIZERS, Numbers, WeightDecay, decayed
from nets.optimizers.each import Arrays, corrected, each, mean
from nets.spec.fields import Boolean
from nets.spec.traced import Traced


class AdamLike(OfMeans):
    """What adam and adamw share."""

    amsgrad: Boolean = Field(
        default=False, description="Divide by the largest mean of the squared gradient so far. Reddi et al., 2018."
    )

    @property
    def slots(self) -> int:
        return 2 + self.amsgrad

    def state_kind(self) -> str:
        return f"{self.type}{' with amsgrad' * self.amsgrad}"

    def scaled(self, n: Numbers) -> optax.GradientTransformation:
        """Gradients divided by their size so far."""
        return with_maximum(n) if self.amsgrad else optax.scale_by_adam(b1=n["b1"], b2=n["b2"], eps=n["eps"])


@OPTIMIZERS.register
class Adam(AdamLike):
    """`torch.optim.Adam`: weight decay added to the gradient. Kingma & Ba, 2015."""

    type: Literal["adam"] = "adam"

    def transform(self, n: Numbers) -> optax.GradientTransformation:
        return optax.chain(decayed(n), self.scaled(n), optax.scale_by_learning_rate(n["lr"]))


@OPTIMIZERS.register
class AdamW(AdamLike):
    """`torch.optim.AdamW`: weight decay beside the gradient. Loshchilov & Hutter, 2019."""

    type: Literal["adamw"] = "adamw"
    weight_decay: Annotated[WeightDecay, Traced()] = 0.01

    def transform(self, n: Numbers) -> optax.GradientTransformation:
        return optax.chain(self.scaled(n), decayed(n), optax.scale_by_learning_rate(n["lr"]))


def with_maximum(n: Numbers) -> optax.GradientTransformation:
    """AMSGrad as PyTorch has it: the largest mean is taken before its bias is corrected, optax's after that."""

    def rule(t: Array, g: Array, x: Array, kept: Arrays) -> tuple[Array, Arrays]:
        moved, square = mean(n["b1"], kept["mean"], g), mean(n["b2"], kept["square"], g * g)
        most = jnp.maximum(kept["most"], square)
        root = jnp.sqrt(most / corrected(n["b2"], t)) + n["eps"]
        return moved / corrected(n["b1"], t) / root, {"mean": moved, "square": square, "most": most}

    return each(rule, "mean", "square", "most")
