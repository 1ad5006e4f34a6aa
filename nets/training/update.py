"""What turns gradients into weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
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
from nets.optimizers.clipping import Clipping, clipping
from nets.optimizers.groups import Group
from nets.optimizers.lookahead import Lookahead, begun
from nets.optimizers.trees import joined, part
from nets.schedules import Schedule, Span
from nets.spec.traced import TracedSpec
from nets.training.filing import ALONE, Filing
from nets.training.members import Members, members_of, share_of_trained
from nets.training.state import TrainState, Tree

Numbers = Mapping[str, Mapping[str, Array]]


@dataclass(frozen=True)
class Update:
    """The parts of a step that follow the gradient. Its structure is what compiled programs depend on.

    ema, swa: the averages of the weights that are taken: over the steps, and at the ends of epochs. members: the arrays
    that change, by what changes them; none where one rule changes all. trained: their share of all numbers. factors:
    of each of `Hyperparams.groups`.
    """

    optimizer: Optimizer
    schedule: Schedule | None = None
    ema: Ema | None = None
    swa: Swa | None = None
    lookahead: Lookahead | None = None
    clipping: Clipping = Clipping()
    members: tuple[Members, ...] = ()
    trained: float = 1.0
    factors: tuple[Group, ...] = ()

    @classmethod
    def of(cls, hyperparams: Hyperparams, graph: Graph) -> Self:
        """That of a run of a network, with its numbers."""
        schedule, members = hyperparams.lr_schedule, members_of(hyperparams, graph)
        return cls(
            optimizer=hyperparams.optimizer,
            schedule=schedule and schedule.over(hyperparams.optimizer.cycled()),
            ema=hyperparams.ema,
            swa=hyperparams.swa,
            lookahead=hyperparams.lookahead,
            clipping=clipping(hyperparams.gradient_clip_norm, hyperparams.gradient_clip_value),
            members=members,
            trained=share_of_trained(members, graph) if members else 1.0,
            factors=hyperparams.groups,
        )

    def structure(self) -> Update:
        """The same with its numbers taken out."""
        return replace(
            self,
            optimizer=self.optimizer.structure(),
            schedule=self.schedule and self.schedule.structure(),
            ema=self.ema and self.ema.structure(),
            swa=self.swa and self.swa.structure(),
            lookahead=self.lookahead and self.lookahead.structure(),
            clipping=self.clipping.structure(),
            factors=tuple(each.structure() for each in self.factors),
        )

    def numbers(
        self, rates: Mapping[str, Any] | None = None, *, steps_per_epoch: int = 1
    ) -> dict[str, dict[str, Array]]:
        """The inputs of a compiled program, by part and name: float32 scalars. rates: those of the schedule."""
        parts: dict[str, TracedSpec | None] = {
            "optimizer": self.optimizer,
            "ema": self.ema,
            "clipping": self.clipping,
            **{factors_of(place): each for place, each in enumerate(self.factors)},
        }
        found = {name: scalars(part.numbers()) for name, part in parts.items() if part}
        if self.lookahead is not None:
            found["lookahead"] = scalars(self.lookahead.inputs(steps_per_epoch))
        if self.schedule is not None:
            found["schedule"] = scalars(rates or self.schedule.inputs(Span()))
        return {name: numbers for name, numbers in found.items() if numbers}

    @property
    def slots(self) -> float:
        """Numbers kept beside each parameter, on an average."""
        return self.moved + bool(self.swa)

    @property
    def moved(self) -> float:
        """Those of them that each step changes."""
        return self.trained * (self.optimizer.slots + bool(self.lookahead)) + bool(self.ema)

    def changed(self, params: Tree) -> Tree:
        """The parameters that training changes, or a tree like them of these alone."""
        if not self.members:
            return params
        return part(params, lambda layer, name: any(each.has(layer, name) for each in self.members))

    def whole(self, changed: Tree, params: Tree) -> Tree:
        """All parameters, the changed ones as they are in `changed`."""
        return joined(params, changed) if self.members else changed

    def init(self, params: Tree) -> Tree:
        """What is kept of each parameter before the first step: zeros."""
        numbers, step = self.numbers(), jnp.int32(0)
        if not self.members:
            return self.transform(step, numbers).init(params)
        return tuple(self.transform(step, numbers, each).init(part(params, each.has)) for each in self.members)

    def updates(
        self,
        gradients: Tree,
        opt_state: Tree,
        params: Tree,
        step: Int[Array, ""],
        numbers: Numbers,
        filing: Filing = ALONE,
    ) -> tuple[Tree, Tree]:
        """What is added to the parameters that change, and what is kept of it. step: how many came before.

        gradients: of the parameters that change. filing: of all these.
        """
        gradients = self.clipping.clipped(gradients, numbers.get("clipping", {}), filing.squares)
        if not self.members:
            return self.made(self.transform(step, numbers), gradients, opt_state, params, filing)
        found = [
            self.made(
                self.transform(step, numbers, each), part(gradients, each.has), state, part(params, each.has), filing
            )
            for each, state in zip(self.members, opt_state, strict=True)
        ]
        return joined(*(updates for updates, _ in found)), tuple(state for _, state in found)

    def made(
        self, transform: optax.GradientTransformation, gradients: Tree, state: Tree, params: Tree, filing: Filing
    ) -> tuple[Tree, Tree]:
        """What an optimizer adds, and what it keeps then."""
        if self.optimizer.whole:
            made: tuple[Tree, Tree] = filing.by_layer(transform.update, gradients, state, params)
            return made
        return transform.update(gradients, state, params)

    def added(self, params: Tree, updates: Tree) -> Tree:
        """The parameters after a step. updates: of those that change."""
        return self.whole(optax.apply_updates(self.changed(params), updates), params)

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
        own = "optimizer" if self.lookahead or self.optimizer.averages else "params"
        return next((name for name in asked if int(state.averages[name].seen)), own)

    def begin(self, opt_state: Tree, params: Tree) -> Tree:
        """What is kept before the first step, from one of zeros. On the host, so that nothing is compiled."""
        if not self.members:
            return self.begun(opt_state, params)
        pairs = zip(self.members, opt_state, strict=True)
        return tuple(self.begun(state, part(params, each.has)) for each, state in pairs)

    def begun(self, state: Tree, params: Tree) -> Tree:
        """The same for parameters that are changed by the same numbers."""
        if self.lookahead is None:
            return self.optimizer.begin(state, params)
        return begun(state, params, self.optimizer.begin(state.inner, params))

    def transform(
        self, step: Int[Array, ""], numbers: Numbers, members: Members | None = None
    ) -> optax.GradientTransformation:
        """The optimizer of a step, with the learning rate that it has there. members: the arrays that it is for."""
        n = self.scheduled(step, numbers)
        made = self.optimizer.transform(n if members is None else self.scaled(n, numbers, members))
        return made if self.lookahead is None else self.lookahead.around(made, numbers["lookahead"])

    def scheduled(self, step: Int[Array, ""], numbers: Numbers) -> Mapping[str, Array]:
        """The optimizer's numbers, as the schedule has them in a step."""
        n = numbers["optimizer"]
        if self.schedule is None:
            return n
        factor = self.schedule.scale(step, numbers["schedule"])
        n = {**n, **{name: n[name] * factor for name in self.optimizer.rates}}
        momentum = self.schedule.momentum(step, numbers["schedule"])
        return n if momentum is None else {**n, **{name: momentum for name in self.optimizer.cycled()}}

    def scaled(self, n: Mapping[str, Array], numbers: Numbers, members: Members) -> Mapping[str, Array]:
        """The optimizer's numbers for some of the arrays."""
        if members.factors is not None:
            own = numbers[factors_of(members.factors)]
            for factor, names in (("lr", self.optimizer.rates), ("weight_decay", self.optimizer.decays)):
                n = {**n, **{name: n[name] * own[factor] for name in names if name in n}}
        return n if members.decays else {name: x for name, x in n.items() if name not in self.optimizer.decays}


def scalars(numbers: Mapping[str, Any]) -> dict[str, Array]:
    """Numbers, and rows of numbers, as inputs of a program."""
    return {name: jnp.asarray(np.asarray(value, np.float32)) for name, value in numbers.items()}


def factors_of(place: int) -> str:
    """The name of a group's numbers."""
    return f"group {place}"


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


def kept_otherwise(before: Hyperparams, now: Hyperparams, graph: Graph) -> Iterator[str]:
    """The fields beside the optimizer for which a run cannot go on from what another one's optimizer has kept."""
    if (before.lookahead is None) != (now.lookahead is None):
        yield "lookahead"
    one, other = ([each.arrays for each in members_of(of, graph)] for of in (before, now))
    if one != other:
        yield from (
            name for name in ("frozen", "groups", "weight_decay_exclude") if getattr(before, name) != getattr(now, name)
        )
