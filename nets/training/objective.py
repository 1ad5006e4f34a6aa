"""What training makes small."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from jaxtyping import Array, Float, Int

from nets.hyperparams.hyperparams import Hyperparams
from nets.losses import loss_on

Numbers = Mapping[str, Any]


@dataclass(frozen=True)
class Objective:
    """The loss, and what is done to samples for its sake. Its structure is what compiled programs depend on."""

    loss: str
    views: str | None = None  # that are evaluated

    @classmethod
    def of(cls, hyperparams: Hyperparams) -> Self:
        """That of a run, with its numbers."""
        return cls(hyperparams.loss, hyperparams.test_time_augmentation)

    def structure(self) -> Objective:
        """The same with its numbers taken out."""
        return self

    def evaluated(self) -> Objective:
        """The part of it that evaluation depends on."""
        return self

    def numbers(self) -> dict[str, Any]:
        """The inputs of a compiled program: float32 scalars."""
        return {}

    def each(
        self, logits: Float[Array, "batch classes"], labels: Int[Array, " batch"], numbers: Numbers, *, platform: str
    ) -> Float[Array, " batch"]:
        """The loss of each sample, as `platform` (jax's name of a backend) computes it best."""
        return loss_on(platform, self.loss)(logits, labels)
