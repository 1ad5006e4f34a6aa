"""AdamW without a schedule."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array
from jaxtyping import Float, Int
from pydantic import Field

from nets.optimizers.adaptive import OfMeans
from nets.optimizers.base import OPTIMIZERS, Betas, LearningRate, Numbers, Tree, copied
from nets.optimizers.each import corrected, mean
from nets.spec.fields import Real
from nets.spec.traced import Traced


@OPTIMIZERS.register
class ScheduleFreeAdamW(OfMeans):
    """AdamW whose weights are averaged, in place of a learning rate that falls. Defazio et al., 2024.

    Gradients are taken between the moving weights and their average. The average is what is evaluated and saved;
    running statistics of batch norms are those of the weights between.
    """

    type: Literal["schedule_free_adamw"] = "schedule_free_adamw"

    usual_lr = (1e-4, 0.05)
    lr: LearningRate = 0.0025
    betas: Betas = Field(
        default=(0.9, 0.999),
        description="Where gradients are taken, from the moving weights (0) to their average (1); and decay of the "
        "mean of the squared gradient.",
    )
    r: Annotated[Real, Field(ge=0, le=100), Traced()] = Field(
        default=0.0, description="Power of the step in its weight in the average."
    )
    weight_lr_power: Annotated[Real, Field(ge=0, le=100), Traced()] = Field(
        default=2.0, description="Power of the largest learning rate so far in a step's weight."
    )

    averages = True
    momenta = ()  # its b1 weighs averages

    @property
    def slots(self) -> int:
        return 3

    def transform(self, n: Numbers) -> optax.GradientTransformation:
        def init(params: Tree) -> Kept:
            zero = jnp.zeros([])
            square = jax.tree.map(jnp.zeros_like, params)
            return Kept(jnp.zeros([], jnp.int32), zero, zero, square, params, params)

        def update(gradients: Tree, state: Kept, params: Tree) -> tuple[Tree, Kept]:
            steps = state.steps + 1
            t = steps.astype(jnp.float32)
            largest = jnp.maximum(state.largest, n["lr"])
            weight = t ** n["r"] * largest ** n["weight_lr_power"]
            total = state.total + weight
            share = jnp.where(total > 0, weight / total, 0)
            square = jax.tree.map(lambda v, g: mean(n["b2"], v, g * g), state.square, gradients)

            def moved(z: Array, g: Array, v: Array, y: Array) -> Array:
                step = g / (jnp.sqrt(v / corrected(n["b2"], t)) + n["eps"])
                return z - n["lr"] * (step + n["weight_decay"] * y if "weight_decay" in n else step)

            fast = jax.tree.map(moved, state.fast, gradients, square, params)
            average = jax.tree.map(lambda x, z: x + share * (z - x), state.average, fast)
            updates = jax.tree.map(lambda x, z, y: mean(n["b1"], x, z) - y, average, fast, params)
            return updates, Kept(steps, total, largest, square, fast, average)

        return optax.GradientTransformation(init, update)

    def begin(self, state: Tree, params: Tree) -> Tree:
        return state._replace(fast=copied(params), average=copied(params))


class Kept(NamedTuple):
    """steps: how many there were. total: of their weights in the average. largest: learning rate so far. fast: the
    weights that move (z in the paper). average: their average (x). The parameters lie between (y).
    """

    steps: Int[Array, ""]
    total: Float[Array, ""]
    largest: Float[Array, ""]
    square: Tree
    fast: Tree
    average: Tree

    @property
    def evaluated(self) -> Tree:
        return self.average
