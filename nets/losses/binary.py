"""Losses of each class by itself, and the focal one, which hard samples dominate."""

from __future__ import annotations

from typing import Annotated, Literal

import jax
import jax.numpy as jnp
import numpy as np
from pydantic import Field, ValidationInfo, field_validator

from nets.errors import BrokenRule
from nets.losses.base import LOSSES, Each, Loss, Numbers, OfNumbers, Outputs, Targets, of_class, one_hot
from nets.losses.per_class import BALANCED, Factors, Undivided, counted_as
from nets.spec.fields import Real
from nets.spec.traced import Traced


@LOSSES.register
class BinaryCrossEntropy(OfNumbers):
    """A sigmoid for each logit, and its cross-entropy: is it this class or not. PyTorch's `nn.BCEWithLogitsLoss`.

    What predictions softmax of its logits is the probability of each class where exactly one is right.
    """

    type: Literal["bce"] = "bce"
    weight: Undivided = None
    pos_weight: Factors = Field(
        default=None,
        description="How much more it counts where a class is the right one: a number, a list in the order of the "
        'classes, or `"balanced"`: the other samples by those of the class.',
    )

    takes = "logits"
    also = ("binary_cross_entropy", "bce_with_logits")
    per_class = ("weight", "pos_weight")
    examples = ({"type": "bce", "pos_weight": 9},)

    def inputs(self, counts: np.ndarray) -> dict[str, jax.Array]:  # type: ignore[override]
        found = super().inputs(counts)
        if self.pos_weight == "balanced":
            others = np.asarray(counts).sum() - np.asarray(counts)
            found["pos_weight"] = jnp.asarray(counted_as(others, np.asarray(counts)), jnp.float32)
        return found

    def between(self, outputs: Outputs, values: Outputs, n: Numbers) -> Each:
        on, off = jax.nn.log_sigmoid(outputs), jax.nn.log_sigmoid(-outputs)
        losses = -(values * on * n.get("pos_weight", 1.0) + (1 - values) * off)
        return (losses * n["weight"] if "weight" in n else losses).mean(-1)


@LOSSES.register
class Focal(Loss):
    """Cross-entropy times (1 - p)^gamma, p the probability of what is right: sure ones count little. Lin et al., 2017.

    With a softmax p is that of the sample's class; with a sigmoid each class is a question of its own, as in `bce`, and
    the loss is the mean over them: optax's `sigmoid_focal_loss`. Without gamma it is `cross_entropy`.
    """

    type: Literal["focal"] = "focal"
    gamma: Annotated[Real, Field(ge=0, le=100), Traced()] = Field(
        default=2.0, description="How much less sure samples count."
    )
    alpha: Factors = Field(
        default=None,
        description='A factor, a list in the order of the classes, or `"balanced"`, as the `weight` of cross_entropy; '
        "with a sigmoid 1 - alpha is that of what is not the class. The mean does not divide by it.",
    )
    activation: Literal["softmax", "sigmoid"] = Field(
        default="softmax", description="What makes probabilities of logits."
    )

    @field_validator("activation")
    @classmethod
    def has_shares(cls, activation: str, info: ValidationInfo) -> str:
        """With a sigmoid, alpha is the share of what is the class, and 1 - alpha that of what is not."""
        alpha = info.data.get("alpha")
        largest = max(alpha) if isinstance(alpha, tuple) else alpha
        if activation == "sigmoid" and (alpha == BALANCED or (isinstance(largest, float) and largest > 1)):
            raise BrokenRule("sigmoid needs an alpha from 0 to 1; send one, such as 0.25, or softmax", "conflict")
        return activation

    per_class = ("alpha",)
    also = ("focal_loss",)
    examples = ({"type": "focal", "gamma": 2, "alpha": 0.25},)

    def each(self, outputs: Outputs, targets: Targets, n: Numbers, *, platform: str) -> Each:
        is_class = one_hot(targets, outputs)
        if self.activation == "sigmoid":
            signed = jnp.where(is_class > 0, outputs, -outputs)
            losses = -jnp.exp(n["gamma"] * jax.nn.log_sigmoid(-signed)) * jax.nn.log_sigmoid(signed)
            if "alpha" in n:
                losses = losses * jnp.where(is_class > 0, n["alpha"], 1 - n["alpha"])
            return losses.mean(-1)
        whole = jax.nn.logsumexp(outputs, axis=-1)
        sure = jnp.where(is_class > 0, outputs, 0).sum(-1) - whole
        # The logarithm of 1 - p by the other classes: of p itself nothing is left where it rounds to 1.
        unsure = jax.nn.logsumexp(jnp.where(is_class > 0, -jnp.inf, outputs), axis=-1) - whole
        each = -jnp.exp(n["gamma"] * unsure) * sure
        return each * of_class(n["alpha"], targets) if "alpha" in n else each
