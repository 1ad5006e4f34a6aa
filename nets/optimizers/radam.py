"""Adam with a rectified variance."""

from __future__ import annotations

from typing import Literal

import jax.numpy as jnp
import optax
from jax import Array
from jaxtyping import Float

from nets.optimizers.adaptive import Decoupled, OfMeans
from nets.optimizers.base import OPTIMIZERS, Numbers, with_decay
from nets.optimizers.each import Arrays, corrected, each, mean

ENOUGH = 5  # samples that a mean has to be worth for its variance to be known
NEAR = 0.5  # up to here series have the digits that differences cancel


@OPTIMIZERS.register
class Radam(OfMeans):
    """`torch.optim.RAdam`: plain momentum until the variance of the mean is known. Liu et al., 2020."""

    type: Literal["radam"] = "radam"
    decoupled_weight_decay: Decoupled = False

    def transform(self, n: Numbers) -> optax.GradientTransformation:
        return with_decay(scaled(n), n, decoupled=self.decoupled_weight_decay)


def scaled(n: Numbers) -> optax.GradientTransformation:
    """The mean of gradients, divided by their size so far once that is known well enough."""

    def rule(t: Array, g: Array, x: Array, kept: Arrays) -> tuple[Array, Arrays]:
        moved, square = mean(n["b1"], kept["mean"], g), mean(n["b2"], kept["square"], g * g)
        plain, (worth, most) = moved / corrected(n["b1"], t), lengths(n["b2"], t)
        trusted = jnp.maximum(worth, ENOUGH)  # no root of a negative number where it is not used
        part = (trusted - 4) * (trusted - 2) * most / ((most - 4) * (most - 2) * trusted)
        rectified = jnp.sqrt(part * corrected(n["b2"], t)) / (jnp.sqrt(square) + n["eps"])
        return plain * jnp.where(worth > ENOUGH, rectified, 1), {"mean": moved, "square": square}

    return each(rule, "mean", "square")


def lengths(b: Array, t: Array) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """How many samples a moving mean is worth after `t`, and in the end.

    The first is 2 / (1 - b) - 1 - 2 t b^t / (1 - b^t): two large numbers that differ by a few. With a = 1 - b,
    c = -log(b) and x = c t it is 2 (1 / a - 1 / c) - 1 + t - 2 g(x) / c, where g(x) = x / (e^x - 1) - 1 + x / 2; each
    term is small, and has a series where it would cancel.
    """
    a, c = 1 - b, -jnp.log(b)
    x = c * t
    # (c - a) / a = a / 2 + a^2 / 3 + ..., and g(x) by Bernoulli's numbers
    over = jnp.where(a < NEAR / 2, series(a, [1 / (k + 1) for k in range(1, 13)]) * a, (c - a) / a)
    square = x * x
    near = square * series(square, [1 / 12, -1 / 720, 1 / 30240, -1 / 1209600, 1 / 47900160])
    bent = jnp.where(x < NEAR, near, x / jnp.expm1(x) - 1 + x / 2)
    return 2 * over / c - 1 + t - 2 * bent / c, 2 / a - 1


def series(x: Array, factors: list[float]) -> Array:
    """The polynomial in `x` of these factors, the constant one first."""
    total = jnp.zeros_like(x)
    for factor in reversed(factors):
        total = total * x + factor
    return total
