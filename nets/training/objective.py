"""What training makes small."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from nets.architecture.architecture import Architecture
from nets.architecture.graph import Graph
from nets.augment import Augmentation
from nets.hyperparams.hyperparams import Hyperparams
from nets.losses import Loss, Terms
from nets.spec.traced import STAND_IN
from nets.training.filing import Filing
from nets.training.regularized import Regularized, activity, penalised
from nets.training.state import Tree
from nets.training.update import scalars

Numbers = Mapping[str, Any]
Labels = Int[Array, " batch"]


class Mixed(NamedTuple):
    """Samples that are made of two. labels: of the second one. share: of the first one in each, from 0 to 1."""

    labels: Labels
    share: Float[Array, " batch"]


@dataclass(frozen=True)
class Objective:
    """The loss, and what is done to samples for its sake. Its structure is what compiled programs depend on."""

    loss: Loss
    views: str | None = None  # that are evaluated
    augment: tuple[Augmentation, ...] = ()
    regularizers: tuple[Regularized, ...] = ()
    heads: tuple[float, ...] = ()  # the weights of several outputs

    @classmethod
    def of(cls, hyperparams: Hyperparams, architecture: Architecture) -> Self:
        """That of a run of a network, with its numbers."""
        weights, graph = hyperparams.output_weights or {}, architecture.graph
        return cls(
            hyperparams.loss,
            hyperparams.test_time_augmentation,
            hyperparams.augment,
            tuple(Regularized.of(each, graph) for each in hyperparams.regularizers),
            tuple(weights.get(name, 1.0) for name in architecture.outputs),
        )

    def structure(self) -> Objective:
        """The same with its numbers taken out."""
        return replace(
            self,
            loss=self.loss.structure(),
            augment=tuple(each.structure() for each in self.augment),
            regularizers=tuple(each.structure() for each in self.regularizers),
            heads=(STAND_IN,) * len(self.heads),
        )

    def evaluated(self) -> Objective:
        """The part of it that evaluation depends on: samples as they are, and the loss of the output alone."""
        return replace(self, augment=(), regularizers=(), heads=())

    def numbers(self, counts: Sequence[int] | np.ndarray, *, steps_per_epoch: int = 1) -> dict[str, Any]:
        """The inputs of a compiled program: float32 scalars, and arrays of one for each class.

        counts: how many training samples each class has.
        """
        found: dict[str, Any] = {"loss": self.loss.inputs(counts)}
        if self.regularizers:
            each = enumerate(self.regularizers)
            found["regularizers"] = {str(number): scalars(one.regularizer.numbers()) for number, one in each}
        if self.heads:
            found["heads"] = jnp.asarray(np.asarray(self.heads, np.float32))
        if not self.augment:
            return found
        augment = {str(number): scalars(each.numbers()) for number, each in enumerate(self.augment)}
        return {**found, "augment": augment, "steps_per_epoch": jnp.float32(steps_per_epoch)}

    @staticmethod
    def of_evaluation(numbers: Numbers) -> dict[str, Any]:
        """The numbers that evaluation takes, of all."""
        return {name: each for name, each in numbers.items() if name in ("loss",)}

    def kept(self, graph: Graph) -> tuple[str, ...]:
        """The ids of nodes whose values are asked for, beside the logits."""
        regularized = (node for each in self.regularizers if not each.arrays for node in each.nodes)
        return tuple(dict.fromkeys([*(graph.heads[1:] if self.heads else ()), *regularized]))

    def penalised(self, gradients: Tree, params: Tree, numbers: Numbers, filing: Filing) -> Tree:
        """The gradients of the loss, and of what the weights are made small by."""
        if not self.regularizers:
            return gradients
        return penalised(self.regularizers, gradients, params, numbers["regularizers"], filing)

    def minimised(self, ends: Sequence[Terms], values: Mapping[str, Array], numbers: Numbers) -> Float[Array, " batch"]:
        """What is made small of each sample: its loss, those of other outputs, and what its values add.

        ends: of every output. values: what nodes give, by id.
        """
        total = ends[0].each
        if self.heads:
            total = sum((numbers["heads"][at] * end.each for at, end in enumerate(ends)), jnp.zeros_like(total))
        more = activity(self.regularizers, values, numbers.get("regularizers", {}))
        if more is None:
            return total
        return total + (more if ends[0].weight is None else more * ends[0].weight)

    @property
    def weighted(self) -> bool:
        """Whether the mean over samples is one by weights."""
        return self.loss.weighted

    def terms(
        self,
        outputs: Float[Array, "batch width"],
        labels: Labels,
        numbers: Numbers,
        *,
        real: Bool[Array, " batch"],
        platform: str,
        mixed: Mixed | None = None,
    ) -> Terms:
        """What each sample adds to the mean, as `platform` (jax's name of a backend) computes it best.

        real: those that count. mixed: of samples made of two: share * L(labels) + (1 - share) * L(mixed.labels).
        """
        first = self.loss.terms(outputs, labels, numbers["loss"], real=real, platform=platform)
        if mixed is None:
            return first
        second = self.loss.terms(outputs, mixed.labels, numbers["loss"], real=real, platform=platform)
        each = mixed.share * first.each + (1 - mixed.share) * second.each
        if first.weight is None or second.weight is None:
            return Terms(each)
        return Terms(each, mixed.share * first.weight + (1 - mixed.share) * second.weight)
