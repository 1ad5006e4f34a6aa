"""Rprop."""

from __future__ import annotations

from typing import Annotated, Literal

import jax.numpy as jnp
import optax
from jax import Array
from pydantic import BeforeValidator, Field, field_validator

from nets.errors import BrokenRule
from nets.optimizers.base import OPTIMIZERS, Ignored, LearningRate, Numbers, Optimizer
from nets.optimizers.each import Arrays, each
from nets.spec.fields import Real, shown
from nets.spec.traced import Traced


def two(value: object) -> object:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise BrokenRule(f"must be a pair of numbers, the smaller one first, got {shown(value)}", "malformed")
    return value


Positive = Annotated[Real, Field(gt=0, le=1e6)]


@OPTIMIZERS.register
class Rprop(Optimizer):
    """`torch.optim.Rprop`: steps by the sign of the gradient alone, for batches of all samples. Riedmiller, 1993."""

    type: Literal["rprop"] = "rprop"

    usual_lr = (1e-4, 0.1)
    lr: LearningRate = Field(default=0.01, description="The size of each weight's first step.")
    etas: Annotated[tuple[Positive, Positive], BeforeValidator(two), Traced(names=("shrinks", "grows"))] = Field(
        default=(0.5, 1.2), description="What a step is multiplied by where the sign has changed, and where it has not."
    )
    step_sizes: Annotated[tuple[Positive, Positive], BeforeValidator(two), Traced(names=("least", "most"))] = Field(
        default=(1e-6, 50.0), description="The smallest and the largest step."
    )

    ignored = Ignored
    decays = ()

    @field_validator("etas")
    @classmethod
    def on_both_sides_of_1(cls, etas: tuple[float, float]) -> tuple[float, float]:
        if not etas[0] < 1 < etas[1]:
            detail = f"must be a number below 1 and one above it, such as [0.5, 1.2], got {shown(list(etas))}"
            raise BrokenRule(detail, "out_of_range")
        return etas

    @field_validator("step_sizes")
    @classmethod
    def in_order(cls, sizes: tuple[float, float]) -> tuple[float, float]:
        if sizes[0] > sizes[1]:
            detail = f"must be the smallest step and the largest one, got {shown(list(sizes))}"
            raise BrokenRule(detail, "out_of_range", set_to=[sizes[1], sizes[0]])
        return sizes

    def transform(self, n: Numbers) -> optax.GradientTransformation:
        def rule(t: Array, g: Array, x: Array, kept: Arrays) -> tuple[Array, Arrays]:
            same = g * kept["gradient"]
            factor = jnp.where(same > 0, n["grows"], jnp.where(same < 0, n["shrinks"], 1))
            size = jnp.where(t == 1, n["lr"], kept["size"])  # so that its state begins with zeros
            size = jnp.clip(size * factor, n["least"], n["most"])
            g = jnp.where(same < 0, 0, g)
            return -jnp.sign(g) * size, {"size": size, "gradient": g}

        return each(rule, "size", "gradient")
