"""What an optimizer is: a small specification and one optax composition, with PyTorch's meaning of every option.

Numbers reach `transform` as traced scalars, so a compiled program serves every learning rate, momentum and decay.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, ClassVar, Protocol, runtime_checkable

import jax
import numpy as np
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
Tree = Any


def betas(value: object) -> object:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise BrokenRule(f"must be a pair of numbers such as [0.9, 0.999], got {shown(value)}", "malformed")
    return value


MEANS = "Decay of the means of the gradient and of its square."
Betas = Annotated[tuple[Decay, Decay], BeforeValidator(betas), Traced(names=("b1", "b2"))]


class Optimizer(Typed):
    """Base of the optimizer specifications.

    slots: arrays kept per parameter, for the memory estimate. usual_lr: the learning rates that people train with.
    rates: the numbers that schedules and groups of layers multiply. decays: those by which weights decay. momenta:
    those that schedules may set, where it has them.
    """

    lr: LearningRate = 0.01

    aliases = {"learning_rate": "lr"}
    usual_lr: ClassVar[tuple[float, float]]
    rates: ClassVar[tuple[str, ...]] = ("lr",)
    decays: ClassVar[tuple[str, ...]] = ("weight_decay",)
    momenta: ClassVar[tuple[str, ...]] = ("b1", "momentum")
    whole: ClassVar[bool] = False  # whether what is added to a weight depends on others of its array
    averages: ClassVar[bool] = False  # whether it keeps averages of the weights, which are evaluated and saved
    divides: ClassVar[bool] = False  # whether updates are quotients by roots, which take longer than adding them

    @property
    def slots(self) -> int:
        return 2

    def cycled(self) -> list[str]:
        """Those of `momenta` that it has."""
        numbers = self.numbers()
        return [name for name in self.momenta if name in numbers]

    def products(self, arrays: Iterable[tuple[str, tuple[int, ...]]]) -> float:
        """Operations of a step in products of matrices. arrays: trained ones, by name and shape."""
        return 0.0

    def state_kind(self) -> str:
        """What decides the arrays that the optimizer keeps: with equal kinds one goes on where the other stopped."""
        return self.type

    def transform(self, n: Numbers) -> optax.GradientTransformation:
        """n: its numbers; without those of `decays` for weights that do not decay."""
        raise AssertionError(f"{type(self).__name__} has no transform")

    def begin(self, state: Tree, params: Tree) -> Tree:
        """What it keeps before the first step, from one of zeros. On the host, so that nothing is compiled."""
        return state


class IgnoredNesterov(Spec):
    """What visual builders send along with any optimizer, where momentum has a meaning."""

    nesterov: Boolean | None = None


class Ignored(IgnoredNesterov):
    """What they send along where it has none."""

    momentum: Decay | None = None


def decayed(n: Numbers, name: str = "weight_decay") -> optax.GradientTransformation:
    """So much of each weight added to its gradient; nothing where weights do not decay."""
    return optax.add_decayed_weights(n[name]) if name in n else optax.identity()


def with_decay(scaled: optax.GradientTransformation, n: Numbers, *, decoupled: bool) -> optax.GradientTransformation:
    """Scaled gradients times the learning rate, with weight decay added to gradients or, `decoupled`, beside them."""
    decay, rest = decayed(n), optax.identity()
    before, after = (rest, decay) if decoupled else (decay, rest)
    return optax.chain(before, scaled, after, optax.scale_by_learning_rate(n["lr"]))


@runtime_checkable
class Averaging(Protocol):
    """What is kept by an optimizer that evaluates and saves other weights than those that gradients are taken at."""

    @property
    def evaluated(self) -> Tree: ...


def averages_in(state: Tree) -> Iterator[Tree]:
    """The weights of optimizers that are evaluated in place of the parameters, from all that is kept."""
    if isinstance(state, Averaging):
        yield state.evaluated
    elif isinstance(state, dict | tuple | list):
        for part in state.values() if isinstance(state, dict) else state:
            yield from averages_in(part)


def copied(params: Tree) -> Tree:
    """Arrays of their own, made without a program."""
    return jax.tree.map(lambda leaf: jax.device_put(np.array(leaf)), params)


OPTIMIZERS: Registry[Optimizer] = Registry("optimizer", example={"type": "sgd", "lr": 0.1})
