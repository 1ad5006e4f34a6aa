"""The optimizers: each a small specification and one optax composition, with PyTorch's meaning of every option.

Numbers reach `transform` as traced scalars, so a compiled program serves every learning rate, momentum and decay.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Self

import jax
import optax
from pydantic import BeforeValidator, Field

from nets.errors import Path, Problem, SpecError
from nets.spec.fields import Boolean, Real, Spec, as_an_object, did_you_mean, instead_of_type, parse, shown

LearningRate = Annotated[Real, Field(gt=0, le=1000)]
Decay = Annotated[Real, Field(ge=0, lt=1)]
WeightDecay = Annotated[Real, Field(ge=0, le=1000)]
Eps = Annotated[Real, Field(gt=0, le=1)]
Numbers = Mapping[str, jax.Array]


def betas(value: object) -> object:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise ValueError(f"must be a pair of numbers such as [0.9, 0.999], got {shown(value)}")
    return value


Betas = Annotated[tuple[Decay, Decay], BeforeValidator(betas)]


class Optimizer(Spec):
    """Base of the optimizer specifications. `slots`: arrays kept per parameter, for the memory estimate."""

    type: str
    lr: LearningRate = 0.01
    ignored: ClassVar[tuple[str, ...]] = ()  # sent by visual builders whatever the type; checked, then left out
    divides: ClassVar[bool] = False  # whether updates are quotients by roots, which take longer than adding them

    aliases: ClassVar[Mapping[str, str]] = {"learning_rate": "lr"}

    @property
    def slots(self) -> int:
        return 2

    def numbers(self) -> dict[str, float]:
        """What a compiled program takes as inputs."""
        return {"lr": self.lr}

    def structure(self) -> Self:
        """The specification without its numbers: what a compiled program depends on."""
        return type(self)(type=self.type)

    def state_kind(self) -> str:
        """What decides the arrays that the optimizer keeps: with equal kinds one goes on where the other stopped."""
        return self.type

    def transform(self, n: Numbers) -> optax.GradientTransformation:
        raise AssertionError(f"{type(self).__name__} has no transform")


class Sgd(Optimizer):
    """`torch.optim.SGD`: momentum without dampening, weight decay added to the gradient."""

    type: Literal["sgd"] = "sgd"
    lr: LearningRate = 0.1
    momentum: Decay = 0.0
    nesterov: Boolean = False
    weight_decay: WeightDecay = 0.0

    @property
    def slots(self) -> int:
        return int(self.momentum > 0)

    def state_kind(self) -> str:
        return "sgd with momentum" if self.momentum else "sgd without momentum"

    def numbers(self) -> dict[str, float]:
        used = {"momentum": self.momentum, "weight_decay": self.weight_decay}
        return {"lr": self.lr, **{name: value for name, value in used.items() if value}}

    def structure(self) -> Self:
        # Whether there is momentum or decay at all decides what is compiled; how much does not.
        return self.model_copy(update={"lr": 1.0, **{name: 0.5 for name in self.numbers() if name != "lr"}})

    def transform(self, n: Numbers) -> optax.GradientTransformation:
        return optax.chain(
            optax.add_decayed_weights(n["weight_decay"]) if "weight_decay" in n else optax.identity(),
            optax.trace(n["momentum"], nesterov=self.nesterov) if "momentum" in n else optax.identity(),
            optax.scale_by_learning_rate(n["lr"]),
        )


class Adaptive(Optimizer):
    """What adam and adamw share."""

    lr: LearningRate = 0.001
    betas: Betas = (0.9, 0.999)
    eps: Eps = 1e-8
    weight_decay: WeightDecay = 0.0

    ignored = ("momentum", "nesterov")
    divides = True

    def numbers(self) -> dict[str, float]:
        b1, b2 = self.betas
        return {"lr": self.lr, "b1": b1, "b2": b2, "eps": self.eps, "weight_decay": self.weight_decay}


class Adam(Adaptive):
    """`torch.optim.Adam`: weight decay added to the gradient. Kingma & Ba, 2015."""

    type: Literal["adam"] = "adam"

    def transform(self, n: Numbers) -> optax.GradientTransformation:
        return optax.chain(
            optax.add_decayed_weights(n["weight_decay"]),
            optax.scale_by_adam(b1=n["b1"], b2=n["b2"], eps=n["eps"]),
            optax.scale_by_learning_rate(n["lr"]),
        )


class AdamW(Adaptive):
    """`torch.optim.AdamW`: weight decay beside the gradient. Loshchilov & Hutter, 2019."""

    type: Literal["adamw"] = "adamw"
    weight_decay: WeightDecay = 0.01

    def transform(self, n: Numbers) -> optax.GradientTransformation:
        return optax.chain(
            optax.scale_by_adam(b1=n["b1"], b2=n["b2"], eps=n["eps"]),
            optax.add_decayed_weights(n["weight_decay"]),
            optax.scale_by_learning_rate(n["lr"]),
        )


class RmsProp(Optimizer):
    """`torch.optim.RMSprop`: eps outside the root, weight decay added to the gradient. Hinton, 2012."""

    type: Literal["rmsprop"] = "rmsprop"
    lr: LearningRate = 0.01
    alpha: Decay = 0.99
    eps: Eps = 1e-8
    weight_decay: WeightDecay = 0.0

    ignored = ("momentum", "nesterov")
    divides = True

    @property
    def slots(self) -> int:
        return 1

    def numbers(self) -> dict[str, float]:
        return {"lr": self.lr, "alpha": self.alpha, "eps": self.eps, "weight_decay": self.weight_decay}

    def transform(self, n: Numbers) -> optax.GradientTransformation:
        return optax.chain(
            optax.add_decayed_weights(n["weight_decay"]),
            optax.scale_by_rms(decay=n["alpha"], eps=n["eps"], eps_in_sqrt=False),
            optax.scale_by_learning_rate(n["lr"]),
        )


OPTIMIZERS: dict[str, type[Optimizer]] = {cls.model_fields["type"].default: cls for cls in (Sgd, Adam, AdamW, RmsProp)}


def parse_optimizer(value: object, path: Path) -> Optimizer:
    """A checked optimizer; SpecError with every problem in it."""
    if not isinstance(value, dict):
        rule = f'must be an object such as {{"type": "sgd", "lr": 0.1}}, got {shown(value)}'
        raise SpecError([Problem(path, f"{rule}{as_an_object(value, OPTIMIZERS)}")])
    kind = value.get("type")
    if not isinstance(kind, str) or kind not in OPTIMIZERS:
        known = ", ".join(OPTIMIZERS)
        rule = f"must be one of {known}, got {shown(kind)}.{did_you_mean(kind, OPTIMIZERS)}"
        raise SpecError(
            [
                Problem(
                    (*path, "type"), rule if "type" in value else f"is required; one of {known}{instead_of_type(value)}"
                )
            ]
        )
    cls = OPTIMIZERS[kind]
    own = {name: item for name, item in value.items() if name not in cls.ignored}
    unused = {name: value[name] for name in cls.ignored if name in value}
    problems: list[Problem] = []
    try:
        parse(Unused, unused, path, owner=kind)
    except SpecError as error:
        problems += error.problems
    try:
        optimizer = parse(cls, own, path, owner=kind, aliases=cls.aliases)
    except SpecError as error:
        raise SpecError([*problems, *error.problems]) from None
    if isinstance(optimizer, Sgd) and optimizer.nesterov and not optimizer.momentum:
        problems.append(Problem((*path, "nesterov"), "needs a momentum greater than 0; send one, such as 0.9"))
    if problems:
        raise SpecError(problems)
    return optimizer


class Unused(Spec):
    """Fields that some optimizers ignore: still of the right kind."""

    momentum: Decay | None = None
    nesterov: Boolean | None = None
