"""What a loss is: a small specification, and what it makes of outputs and labels, each option as PyTorch means it.

Numbers reach it as traced scalars, and as one array for all classes, so a compiled program serves all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from nets.losses.per_class import counted_as, per_class_numbers
from nets.spec.registry import Registry, Typed
from nets.spec.traced import STAND_IN

Numbers = Mapping[str, Array]
Outputs = Float[Array, "batch width"]
Targets = Int[Array, " batch"]
Each = Float[Array, " batch"]
Takes = Literal["logits", "output", "embedding"]


class Terms(NamedTuple):
    """What samples add to a mean. each: their losses, multiplied by their weights. weight: these; None where all are 1.

    The mean over a batch is the sum of `each` by the sum of `weight`, as PyTorch has it with class weights.
    """

    each: Each
    weight: Each | None = None


class Loss(Typed):
    """Base of the losses.

    takes: `logits`, to which a final softmax is not applied; `output`, which the last layer gives, be it a softmax; or
    `embedding`, of any width. wants: what the loss can be computed of alone: logarithms of probabilities, or numbers
    above 0. per_class: fields that are one number for each class, or for all. pairs: how many samples a batch has to
    have for one of them to have a loss. one_hot: whether targets are numbers, of class labels one-hot.
    """

    takes: ClassVar[Takes] = "logits"
    wants: ClassVar[Literal["", "log_probabilities", "positive"]] = ""
    per_class: ClassVar[tuple[str, ...]] = ()
    pairs: ClassVar[int] = 1
    one_hot: ClassVar[bool] = False
    examples: ClassVar[tuple[Mapping[str, Any], ...]] = ()

    @property
    def embeds(self) -> bool:
        """Whether the network ends in places of samples among each other, and not in one number for each class."""
        return self.takes == "embedding"

    @property
    def weighted(self) -> bool:
        """Whether samples count by weights."""
        return False

    def to_json(self) -> str | dict[str, Any]:
        """As a client could send it: its name alone where every option is as without it."""
        return self.type if self == type(self).model_validate({}) else self.model_dump(mode="json")

    def structure(self) -> Self:
        there = {name: STAND_IN for name in self.per_class if getattr(self, name) is not None}
        return super().structure().model_copy(update=there)

    def inputs(self, counts: Sequence[int] | np.ndarray) -> dict[str, Array]:
        """The inputs of a compiled program, by name. counts: how many training samples each class has."""
        scalars = {name: jnp.float32(number) for name, number in self.numbers().items()}
        return scalars | {
            name: jnp.asarray(per_class_numbers(value, counts, by=self.balanced))
            for name in self.per_class
            if (value := getattr(self, name)) is not None
        }

    @staticmethod
    def balanced(counts: np.ndarray) -> np.ndarray:
        """What `"balanced"` stands for: weights by which all classes count alike, 1 on average over the samples."""
        return counted_as(counts.sum() / len(counts), counts)

    def terms(
        self, outputs: Outputs, targets: Targets, n: Numbers, *, real: Bool[Array, " batch"], platform: str
    ) -> Terms:
        """What each sample adds. real: those that count; what others add is left out by the caller. platform: jax's
        name of the backend that computes it.
        """
        return Terms(self.each(outputs, targets, n, platform=platform), self.weights(targets, n))

    def each(self, outputs: Outputs, targets: Targets, n: Numbers, *, platform: str) -> Each:
        """The loss of each sample, multiplied by its weight."""
        raise AssertionError(f"{type(self).__name__} has no each")

    def weights(self, targets: Targets, n: Numbers) -> Each | None:
        """How much each sample counts in the mean; None where all count alike."""
        return None


class OfNumbers(Loss):
    """A loss of numbers: of class labels, the targets are one-hot, 1 for the class of the sample and 0 elsewhere.

    The loss of a sample is the mean over its outputs.
    """

    takes: ClassVar[Takes] = "output"
    one_hot = True

    def each(self, outputs: Outputs, targets: Targets, n: Numbers, *, platform: str) -> Each:
        return self.between(outputs, one_hot(targets, outputs), n)

    def between(self, outputs: Outputs, values: Outputs, n: Numbers) -> Each:
        """The loss of each sample whose targets are `values`."""
        raise AssertionError(f"{type(self).__name__} has no between")


def one_hot(targets: Targets, outputs: Outputs) -> Outputs:
    """1 for the class of each sample, 0 elsewhere."""
    return jax.nn.one_hot(targets, outputs.shape[-1], dtype=outputs.dtype)


def of_class(values: Float[Array, " classes"], targets: Targets) -> Each:
    """The number of each sample's class. A product: the gradient of an index is a scatter."""
    return jnp.where(targets[:, None] == jnp.arange(len(values)), values, 0).sum(-1)


LOSSES: Registry[Loss] = Registry("loss", example={"type": "cross_entropy", "label_smoothing": 0.1}, by_name=True)
