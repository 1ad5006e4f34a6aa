"""What turns gradients into weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Int

from nets.architecture.graph import Graph
from nets.averages import Ema, Swa, swa
from nets.averages.average import RunningAverage, nothing
from nets.hyperparams.hyperparams import Hyperparams
from nets.network import Variables
from nets.optimizers import Optimizer
from nets.optimizers.base import averages_in
from nets.optimizers.trees import joined
from nets.schedules import Schedule, Span
from nets.training.state import TrainState, Tree

Numbers = Mapping[str, Mapping[str, Array]]


@dataclass(frozen=True)
class Update:
    """The parts of a step that follow the gradient. Its structure is what compiled programs depend on.

    ema, swa: the averages of the weights that are taken: over the steps, and at the ends of epochs.
    """

    optimizer: Optimizer
    schedule: Schedule | None = None
    ema: Ema | None = None
    swa: Swa | None = None

    @classmethod
    def of(cls, hyperparams: Hyperparams, graph: Graph) -> Self:
        """That of a run of a network, with its numbers."""
        schedule = hyperparams.lr_schedule
        schedule = schedule and schedule.over(hyperparams.optimizer.cycled())
        return cls(hyperparams.optimizer, schedule, hyperparams.ema, hyperparams.swa)

    def structure(self) -> Update:
        """The same with its numbers taken out."""
        averages = self.ema and self.ema.structure(), self.swa and self.swa.structure()
        return Update(self.optimizer.structure(), self.schedule and self.schedule.structure(), *averages)

    def numbers(self, rates: Mapping[str, Any] | None = None) -> dict[str, dict[str, Array]]:
        """The inputs of a compiled program, by part and name: float32 scalars. rates: those of the schedule."""
        found = {"optimizer": scalars(self.optimizer.numbers())}
        if self.schedule is not None:
            found["schedule"] = scalars(rates or self.schedule.inputs(Span()))
        if self.ema is not None:
            found["ema"] = scalars(self.ema.numbers())
        return found

    @property
    def slots(self) -> int:
        """Arrays kept per parameter beside it."""
        return self.moved + bool(self.swa)

    @property
    def moved(self) -> int:
        """Those of them that each step changes."""
        return self.optimizer.slots + bool(self.ema)

    def init(self, params: Tree) -> Tree:
        """What is kept of each parameter before the first step: zeros."""
        return self.optimizer.transform(self.numbers()["optimizer"]).init(params)

    def updates(
        self, gradients: Tree, opt_state: Tree, params: Tree, step: Int[Array, ""], numbers: Numbers
    ) -> tuple[Tree, Tree]:
        """What is added to the parameters in a step, and what is kept of it. step: how many came before."""
        made: tuple[Any, Any] = self.transform(step, numbers).update(gradients, opt_state, params)
        return made

    def averages(self, variables: Variables) -> dict[str, RunningAverage]:
        """The averages before any weights were seen. variables: params and running statistics."""
        return {name: nothing(variables) for name, taken in (("ema", self.ema), ("swa", self.swa)) if taken}

    def averaged(self, state: TrainState, numbers: Numbers) -> TrainState:
        """A state that a step has just led to, its average over the steps included."""
        if self.ema is None:
            return state
        ema = self.ema.after(state.averages["ema"], weights(state), state.step - 1, numbers["ema"])
        return state.replace(averages={**state.averages, "ema": ema})

    def epoch_averaged(self, state: TrainState) -> TrainState:
        """A state at the end of an epoch that counts, its average over the epochs included."""
        return state.replace(averages={**state.averages, "swa": swa.after(state.averages["swa"], weights(state))})

    def evaluated(self, state: TrainState) -> Variables:
        """What of a state is validated, kept, tested and saved: params and running statistics."""
        return weights(state, self.source(state))

    def source(self, state: TrainState) -> str:
        """Where these are from: `swa` or `ema` once such an average has seen weights, else `optimizer` where that keeps
        an average itself, else `params`.
        """
        asked = [name for name, taken in (("swa", self.swa), ("ema", self.ema)) if taken and taken.evaluate]
        own = "optimizer" if self.optimizer.averages else "params"
        return next((name for name in asked if int(state.averages[name].seen)), own)

    def begin(self, opt_state: Tree, params: Tree) -> Tree:
        """What is kept before the first step, from one of zeros. On the host, so that nothing is compiled."""
        return self.optimizer.begin(opt_state, params)

    def transform(self, step: Int[Array, ""], numbers: Numbers) -> optax.GradientTransformation:
        """The optimizer of a step, with the learning rate that it has there."""
        return self.optimizer.transform(self.scheduled(step, numbers))

    def scheduled(self, step: Int[Array, ""], numbers: Numbers) -> Mapping[str, Array]:
        """The optimizer's numbers, as the schedule has them in a step."""
        n = numbers["optimizer"]
        if self.schedule is None:
            return n
        factor = self.schedule.scale(step, numbers["schedule"])
        n = {**n, **{name: n[name] * factor for name in self.optimizer.rates}}
        momentum = self.schedule.momentum(step, numbers["schedule"])
        return n if momentum is None else {**n, **{name: momentum for name in self.optimizer.cycled()}}


def scalars(numbers: Mapping[str, Any]) -> dict[str, Array]:
    """Numbers, and rows of numbers, as inputs of a program."""
    return {name: jnp.asarray(np.asarray(value, np.float32)) for name, value in numbers.items()}


def weights(state: TrainState, source: str = "params") -> Variables:
    """Params and running statistics of a state, or of an average in it; an optimizer's are of the params alone."""
    if source == "params":
        return {"params": state.params, "batch_stats": state.batch_stats}
    if source == "optimizer":
        return {"params": joined(state.params, *averages_in(state.opt_state)), "batch_stats": state.batch_stats}
    found: Variables = state.averages[source].values
    return found


def shapes_of(update: Update, params: Tree) -> Tree:
    """What an optimizer keeps of parameters, as shapes."""
    return jax.eval_shape(update.init, params)
