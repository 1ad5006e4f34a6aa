"""What training makes small."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from nets.augment import Augmentation
from nets.hyperparams.hyperparams import Hyperparams
from nets.losses import loss_on
from nets.training.update import scalars

Numbers = Mapping[str, Any]


class Mixed(NamedTuple):
    """Samples that are made of two. labels: of the second one. share: of the first one in each, from 0 to 1."""

    labels: Int[Array, " batch"]
    share: Float[Array, " batch"]


@dataclass(frozen=True)
class Objective:
    """The loss, and what is done to samples for its sake. Its structure is what compiled programs depend on."""

    loss: str
    views: str | None = None  # that are evaluated
    augment: tuple[Augmentation, ...] = ()

    @classmethod
    def of(cls, hyperparams: Hyperparams) -> Self:
        """That of a run, with its numbers."""
        return cls(hyperparams.loss, hyperparams.test_time_augmentation, hyperparams.augment)

    def structure(self) -> Objective:
        """The same with its numbers taken out."""
        return replace(self, augment=tuple(each.structure() for each in self.augment))

    def evaluated(self) -> Objective:
        """The part of it that evaluation depends on: samples as they are."""
        return replace(self, augment=())

    def numbers(self, *, steps_per_epoch: int = 1) -> dict[str, Any]:
        """The inputs of a compiled program: float32 scalars."""
        if not self.augment:
            return {}
        augment = {str(number): scalars(each.numbers()) for number, each in enumerate(self.augment)}
        return {"augment": augment, "steps_per_epoch": jnp.float32(steps_per_epoch)}

    @staticmethod
    def of_evaluation(numbers: Numbers) -> dict[str, Any]:
        """The numbers that evaluation takes, of all."""
        return {name: each for name, each in numbers.items() if name not in ("augment", "steps_per_epoch")}

    def each(
        self,
        logits: Float[Array, "batch classes"],
        labels: Int[Array, " batch"],
        numbers: Numbers,
        *,
        platform: str,
        mixed: Mixed | None = None,
    ) -> Float[Array, " batch"]:
        """The loss of each sample, as `platform` (jax's name of a backend) computes it best.

        mixed: of samples made of two: share * L(labels) + (1 - share) * L(mixed.labels).
        """
        loss = loss_on(platform, self.loss)
        first = loss(logits, labels)
        return first if mixed is None else mixed.share * first + (1 - mixed.share) * loss(logits, mixed.labels)
