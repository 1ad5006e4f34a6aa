"""Losses of embeddings: samples of a batch are compared with each other, by whether their labels are the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float
from pydantic import Field

from nets.losses.base import LOSSES, Loss, Numbers, Outputs, Targets, Terms
from nets.spec.fields import Boolean, Real
from nets.spec.traced import Traced

Pairs = Bool[Array, "batch batch"]
FAR = 1e30  # a squared distance that no pair has
TINY = 1e-12


class OfEmbeddings(Loss):
    """A loss of the places of samples among each other. Those without one to be compared with have none."""

    takes = "embedding"

    @property
    def unit(self) -> bool:
        """Whether embeddings are scaled to a length of 1 first."""
        return True

    @property
    def weighted(self) -> bool:
        return True

    @property
    def sharpness(self) -> float:
        """What squared distances from the means of classes are multiplied by, for the probabilities of predictions."""
        return 1.0

    def places(self, outputs: Outputs) -> Outputs:
        """What is compared of them."""
        return scaled(outputs) if self.unit else outputs

    def terms(self, outputs: Outputs, targets: Targets, n: Numbers, *, real: Any, platform: str) -> Terms:
        others = real[:, None] & real & ~jnp.eye(len(targets), dtype=bool)
        same = others & (targets[:, None] == targets)
        return self.compared(self.places(outputs), same, others & ~same, n)

    def compared(self, places: Outputs, same: Pairs, unlike: Pairs, n: Numbers) -> Terms:
        """What each sample adds, 0 where it cannot be compared. same, unlike: of the same class, and of another one."""
        raise AssertionError(f"{type(self).__name__} has no compared")


@LOSSES.register
class Contrastive(OfEmbeddings):
    """Samples of a class attract each other, all others are pushed away; the supervised loss of Khosla et al., 2020.

    Embeddings are scaled to a length of 1. Of two samples to a class it is optax's `ntxent`.
    """

    type: Literal["contrastive"] = "contrastive"
    temperature: Annotated[Real, Field(ge=1e-3, le=100), Traced()] = Field(
        default=0.07, description="What cosines are divided by: the lower, the more the nearest samples count."
    )

    pairs = 2
    also = ("supervised_contrastive", "supcon", "ntxent")
    examples = ({"type": "contrastive", "temperature": 0.1},)

    @property
    def sharpness(self) -> float:
        return 1 / (2 * self.temperature)  # squared distances are 2 - 2 cosines

    def compared(self, places: Outputs, same: Pairs, unlike: Pairs, n: Numbers) -> Terms:
        likeness = product(places, places) / n["temperature"]
        others = same | unlike
        rest = jax.nn.logsumexp(jnp.where(others, likeness, -FAR), axis=-1, keepdims=True)
        many = same.sum(-1)
        each = jnp.where(same, rest - likeness, 0).sum(-1) / jnp.maximum(many, 1)
        return Terms(each, (many > 0).astype(jnp.float32))


@LOSSES.register
class Triplet(OfEmbeddings):
    """The farthest sample of the class must be nearer than a near one of another class, by a margin.

    PyTorch's `nn.TripletMarginLoss` of these, with distances by Euclid. Schroff et al., 2015; Hermans et al., 2017.
    """

    type: Literal["triplet"] = "triplet"
    margin: Annotated[Real, Field(gt=0, le=1e6), Traced()] = Field(
        default=1.0, description="By how much it must be nearer."
    )
    eps: Annotated[Real, Field(ge=0, le=1), Traced()] = Field(
        default=1e-6, description="Added to every difference, as PyTorch's distance does."
    )

    mining: Literal["semi_hard", "hard"] = Field(
        default="semi_hard",
        description="Which one of another class: the nearest of those that are farther than the farthest of the own "
        "class, or, where there is none, the farthest; or the nearest of all, `hard`, by which networks that begin "
        "with random weights tend to give all samples the same place.",
    )

    normalize: Boolean = Field(
        default=True, description="Scale embeddings to a length of 1 first, so that none of them runs away."
    )

    pairs = 3
    also = ("triplet_margin", "triplet_semi_hard")
    examples = ({"type": "triplet", "margin": 0.5},)

    @property
    def unit(self) -> bool:
        return self.normalize

    def compared(self, places: Outputs, same: Pairs, unlike: Pairs, n: Numbers) -> Terms:
        squares = jax.lax.stop_gradient(squared_distances(places, places))
        farthest = jnp.where(same, squares, -FAR).argmax(-1)
        nearest = jnp.where(unlike, squares, FAR).argmin(-1)
        if self.mining == "semi_hard":
            beyond = unlike & (squares > jnp.where(same, squares, -FAR).max(-1, keepdims=True))
            semi_hard, outermost = (
                jnp.where(beyond, squares, FAR).argmin(-1),
                jnp.where(unlike, squares, -FAR).argmax(-1),
            )
            nearest = jnp.where(beyond.any(-1), semi_hard, outermost)

        def distance(other: Array) -> Float[Array, " batch"]:
            # One row of the product is 1: a gather's gradient would be a scatter.
            chosen = product(jax.nn.one_hot(other, len(places)), places.T)
            return jnp.sqrt(((places - chosen + n["eps"]) ** 2).sum(-1) + TINY**2)

        each = jnp.maximum(distance(farthest) - distance(nearest) + n["margin"], 0)
        counts = same.any(-1) & unlike.any(-1)
        return Terms(jnp.where(counts, each, 0), counts.astype(jnp.float32))


def nearness(outputs: Outputs, classes: Mapping[str, Array]) -> Float[Array, "batch classes"]:
    """Logits of outputs by how near the mean of each class is. Snell et al., 2017.

    classes: `means` [classes, width]; `sharpness` [1], by which squared distances are multiplied; `unit` [1], above 0
    where outputs are scaled to a length of 1 first.
    """
    places = jnp.where(classes["unit"] > 0, scaled(outputs), outputs)
    return -classes["sharpness"] * squared_distances(places, classes["means"])


def hits(places: Outputs, labels: Targets, real: Bool[Array, " batch"]) -> Bool[Array, " batch"]:
    """Which samples are nearest to the mean of their class among those of the batch, themselves left out of it.

    One whose class has no other sample in the batch is no hit.
    """
    same = real & (labels[:, None] == labels)
    others = same & ~jnp.eye(len(labels), dtype=bool)
    means = product(same.astype(jnp.float32), places.T) / jnp.maximum(same.sum(-1, keepdims=True), 1)
    own = product(others.astype(jnp.float32), places.T) / jnp.maximum(others.sum(-1, keepdims=True), 1)
    nearest = jnp.where(real & ~same, squared_distances(places, means), FAR).min(-1)
    return real & others.any(-1) & (((places - own) ** 2).sum(-1) < nearest)


def scaled(places: Outputs) -> Outputs:
    """To a length of 1."""
    return places * jax.lax.rsqrt((places**2).sum(-1, keepdims=True) + TINY)


def product(a: Float[Array, "n width"], b: Float[Array, "m width"]) -> Float[Array, "n m"]:
    """Of every row with every other, in whole float32."""
    return jnp.matmul(a, b.T, precision=jax.lax.Precision.HIGHEST)


def squared_distances(a: Float[Array, "n width"], b: Float[Array, "m width"]) -> Float[Array, "n m"]:
    """Between every two rows."""
    return jnp.maximum((a**2).sum(-1)[:, None] + (b**2).sum(-1) - 2 * product(a, b), 0)
