"""Adam with Nesterov's momentum."""

from __future__ import annotations

from typing import Annotated, Literal

import jax.numpy as jnp
import optax
from jax import Array
from pydantic import Field

from nets.optimizers.adaptive import Decoupled, OfMeans
from nets.optimizers.base import OPTIMIZERS, LearningRate, Numbers, Tree, with_decay
from nets.optimizers.each import Arrays, Kept, corrected, each, mean
from nets.spec.fields import Real
from nets.spec.traced import Traced

BASE = 0.96  # of Dozat's schedule of momentum


@OPTIMIZERS.register
class Nadam(OfMeans):
    """`torch.optim.NAdam`: a momentum that grows with the steps. Dozat, 2016."""

    type: Literal["nadam"] = "nadam"
    lr: LearningRate = 0.002
    momentum_decay: Annotated[Real, Field(ge=0, le=1), Traced()] = Field(
        default=0.004, description="How fast the momentum grows to the first of `betas`, from half of it."
    )
    decoupled_weight_decay: Decoupled = False

    def transform(self, n: Numbers) -> optax.GradientTransformation:
        return with_decay(scaled(n), n, decoupled=self.decoupled_weight_decay)


def scaled(n: Numbers) -> optax.GradientTransformation:
    """Gradients and their mean divided by their size so far; beside the arrays the product of all momenta is kept."""

    def momentum(t: Array) -> Array:
        return n["b1"] * (1 - 0.5 * BASE ** (t * n["momentum_decay"]))

    def rule(product: Array) -> optax.GradientTransformation:
        def step(t: Array, g: Array, x: Array, kept: Arrays) -> tuple[Array, Arrays]:
            moved, square = mean(n["b1"], kept["mean"], g), mean(n["b2"], kept["square"], g * g)
            root = jnp.sqrt(square / corrected(n["b2"], t)) + n["eps"]
            now, following = momentum(t), momentum(t + 1)
            ahead = following / (1 - product * following) * moved + (1 - now) / (1 - product) * g
            return ahead / root, {"mean": moved, "square": square}

        return each(step, "mean", "square")

    def init(params: Tree) -> tuple[Array, Kept]:
        return jnp.zeros([]), rule(jnp.zeros([])).init(params)

    def update(gradients: Tree, state: tuple[Array, Kept], params: Tree) -> tuple[Tree, tuple[Array, Kept]]:
        t = (state[1].steps + 1).astype(jnp.float32)
        product = jnp.where(t == 1, 1, state[0]) * momentum(t)  # 0 stands for none so far
        made: tuple[Tree, Kept] = rule(product).update(gradients, state[1], params)
        return made[0], (product, made[1])

    return optax.GradientTransformation(init, update)
