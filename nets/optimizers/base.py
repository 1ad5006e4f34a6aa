"""What an optimizer is: a small specification and one optax composition, with PyTorch's meaning of every option.

Numbers reach `transform` as traced scalars, so a compiled program serves every learning rate, momentum and decay.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

import jax
import optax
from pydantic import BeforeValidator, Field

from nets.errors import BrokenRule
from nets.spec.fields import Boolean, Real, Spec, shown
from nets.spec.registry import Registry, Typed
from nets.spec.traced import Traced

LearningRate = Annotated[Real, Field(gt=0, le=1000, description="Learning rate."), Traced()]
Decay = Annotated[Real, Field(ge=0, lt=1)]
WeightDecay = Annotated[Real, Field(ge=0, le=1000, description="Weight decay (L2).")]
Eps = Annotated[Real, Field(gt=0, le=1, description="Added to the denominator."), Traced()]
Numbers = Mapping[str, jax.Array]


def betas(value: object) -> object:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise BrokenRule(f"must be a pair of numbers such as [0.9, 0.999], got {shown(value)}", "malformed")
    return value


Betas = Annotated[tuple[Decay, Decay], BeforeValidator(betas), Traced(names=("b1", "b2"))]


class Optimizer(Typed):
    """Base of the optimizer specifications.

    slots: arrays kept per parameter, for the memory estimate. usual_lr: the learning rates that people train with.
    """

    lr: LearningRate = 0.01

    aliases = {"learning_rate": "lr"}
    usual_lr: ClassVar[tuple[float, float]]
    divides: ClassVar[bool] = False  # whether updates are quotients by roots, which take longer than adding them

    @property
    def slots(self) -> int:
        return 2

    def state_kind(self) -> str:
        """What decides the arrays that the optimizer keeps: with equal kinds one goes on where the other stopped."""
        return self.type

    def transform(self, n: Numbers) -> optax.GradientTransformation:
        raise AssertionError(f"{type(self).__name__} has no transform")


class Ignored(Spec):
    """What visual builders send along with any optimizer."""

    momentum: Decay | None = None
    nesterov: Boolean | None = None


OPTIMIZERS: Registry[Optimizer] = Registry("optimizer", example={"type": "sgd", "lr": 0.1})
