"""What training makes small."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from nets.augment import Augmentation
from nets.hyperparams.hyperparams import Hyperparams
from nets.losses import Loss, Terms
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

    @classmethod
    def of(cls, hyperparams: Hyperparams) -> Self:
        """That of a run, with its numbers."""
        return cls(hyperparams.loss, hyperparams.test_time_augmentation, hyperparams.augment)

    def structure(self) -> Objective:
        """The same with its numbers taken out."""
        return replace(self, loss=self.loss.structure(), augment=tuple(each.structure() for each in self.augment))

    def evaluated(self) -> Objective:
        """The part of it that evaluation depends on: samples as they are."""
        return replace(self, augment=())

    def numbers(self, counts: Sequence[int] | np.ndarray, *, steps_per_epoch: int = 1) -> dict[str, Any]:
        """The inputs of a compiled program: float32 scalars, and arrays of one for each class.

        counts: how many training samples each class has.
        """
        found = {"loss": self.loss.inputs(counts)}
        if not self.augment:
            return found
        augment = {str(number): scalars(each.numbers()) for number, each in enumerate(self.augment)}
        return {**found, "augment": augment, "steps_per_epoch": jnp.float32(steps_per_epoch)}

    @staticmethod
    def of_evaluation(numbers: Numbers) -> dict[str, Any]:
        """The numbers that evaluation takes, of all."""
        return {name: each for name, each in numbers.items() if name not in ("augment", "steps_per_epoch")}

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
