"""What turns gradients into weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Int

from nets.architecture.graph import Graph
from nets.hyperparams.hyperparams import Hyperparams
from nets.network import Variables
from nets.optimizers import Optimizer
from nets.training.state import TrainState, Tree

Numbers = Mapping[str, Mapping[str, Array]]


@dataclass(frozen=True)
class Update:
    """The parts of a step that follow the gradient. Its structure is what compiled programs depend on."""

    optimizer: Optimizer

    @classmethod
    def of(cls, hyperparams: Hyperparams, graph: Graph) -> Self:
        """That of a run of a network, with its numbers."""
        return cls(hyperparams.optimizer)

    def structure(self) -> Update:
        """The same with its numbers taken out."""
        return Update(self.optimizer.structure())

    def numbers(self) -> dict[str, dict[str, Array]]:
        """The inputs of a compiled program, by part and name: float32 scalars."""
        return {"optimizer": scalars(self.optimizer.numbers())}

    @property
    def slots(self) -> int:
        """Arrays kept per parameter."""
        return self.optimizer.slots

    def init(self, params: Tree) -> Tree:
        """What is kept of each parameter before the first step: zeros."""
        return self.optimizer.transform(self.numbers()["optimizer"]).init(params)

    def updates(
        self, gradients: Tree, opt_state: Tree, params: Tree, step: Int[Array, ""], numbers: Numbers
    ) -> tuple[Tree, Tree]:
        """What is added to the parameters in a step, and what is kept of it. step: how many came before."""
        made: tuple[Any, Any] = self.transform(step, numbers).update(gradients, opt_state, params)
        return made

    def evaluated(self, state: TrainState) -> Variables:
        """What of a state is validated, kept, tested and saved: params and running statistics."""
        return {"params": state.params, "batch_stats": state.batch_stats}

    def begin(self, opt_state: Tree, params: Tree) -> Tree:
        """What is kept before the first step, from one of zeros. On the host, so that nothing is compiled."""
        return opt_state

    def transform(self, step: Int[Array, ""], numbers: Numbers) -> optax.GradientTransformation:
        """The optimizer of a step, with the learning rate that it has there."""
        return self.optimizer.transform(numbers["optimizer"])


def scalars(numbers: Mapping[str, float]) -> dict[str, Array]:
    """Numbers as inputs of a program."""
    return {name: jnp.float32(value) for name, value in numbers.items()}


def shapes_of(update: Update, params: Tree) -> Tree:
    """What is kept of parameters, as shapes."""
    return jax.eval_shape(update.init, params)
