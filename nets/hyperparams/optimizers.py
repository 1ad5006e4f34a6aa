"""The optimizers: each a small specification and one optax composition, with PyTorch's meaning of every option.

Numbers reach `transform` as traced scalars, so a compiled program serves every learning rate, momentum and decay.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

import jax
import optax
from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

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


@OPTIMIZERS.register
class Sgd(Optimizer):
    """`torch.optim.SGD`: momentum without dampening, weight decay added to the gradient."""

    type: Literal["sgd"] = "sgd"

    usual_lr = (5e-4, 0.5)
    lr: LearningRate = 0.1
    momentum: Annotated[Decay, Traced(absent=0.0)] = Field(
        default=0.0, description="Share of the last step that is kept."
    )
    nesterov: Boolean = Field(default=False, description="Nesterov's momentum; needs a momentum above 0.")
    weight_decay: Annotated[WeightDecay, Traced(absent=0.0)] = 0.0

    @field_validator("nesterov")
    @classmethod
    def has_momentum(cls, nesterov: bool, info: ValidationInfo) -> bool:
        """Nesterov's is a kind of momentum."""
        if nesterov and info.data.get("momentum") == 0:
            raise BrokenRule(
                "needs a momentum greater than 0; send one, such as 0.9", "conflict", expected=False, set_to=False
            )
        return nesterov

    @property
    def slots(self) -> int:
        return int(self.momentum > 0)

    def state_kind(self) -> str:
        return "sgd with momentum" if self.momentum else "sgd without momentum"

    def transform(self, n: Numbers) -> optax.GradientTransformation:
        return optax.chain(
            optax.add_decayed_weights(n["weight_decay"]) if "weight_decay" in n else optax.identity(),
            optax.trace(n["momentum"], nesterov=self.nesterov) if "momentum" in n else optax.identity(),
            optax.scale_by_learning_rate(n["lr"]),
        )


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


@OPTIMIZERS.register
class RmsProp(Optimizer):
    """`torch.optim.RMSprop`: eps outside the root, weight decay added to the gradient. Hinton, 2012."""

    type: Literal["rmsprop"] = "rmsprop"

    usual_lr = (1e-5, 0.01)
    lr: LearningRate = 0.01
    alpha: Annotated[Decay, Traced()] = Field(default=0.99, description="Decay of the mean of the squared gradient.")
    eps: Eps = 1e-8
    weight_decay: Annotated[WeightDecay, Traced()] = 0.0

    ignored = Ignored
    divides = True

    @property
    def slots(self) -> int:
        return 1

    def transform(self, n: Numbers) -> optax.GradientTransformation:
        return optax.chain(
            optax.add_decayed_weights(n["weight_decay"]),
            optax.scale_by_rms(decay=n["alpha"], eps=n["eps"], eps_in_sqrt=False),
            optax.scale_by_learning_rate(n["lr"]),
        )
