"""Losses that ask for a margin between the right class and the others."""

from __future__ import annotations

from typing import Annotated, Literal

import jax.numpy as jnp
from pydantic import Field

from nets.losses.base import LOSSES, Each, Loss, Numbers, Outputs, Targets, of_class, one_hot
from nets.losses.per_class import Undivided
from nets.spec.fields import Real, Whole
from nets.spec.traced import Traced


@LOSSES.register
class Hinge(Loss):
    """How far every other class comes within a margin of the right one. PyTorch's `nn.MultiMarginLoss`.

    The sum over the other classes by the number of all. Crammer & Singer, 2001.
    """

    type: Literal["hinge"] = "hinge"
    p: Annotated[Whole, Field(ge=1, le=2)] = Field(default=1, description="To which power each part is taken.")
    margin: Annotated[Real, Field(ge=0, le=1e6), Traced()] = Field(
        default=1.0, description="By how much the right class has to be ahead."
    )
    weight: Undivided = None

    also = ("multi_margin", "multiclass_hinge", "categorical_hinge")
    per_class = ("weight",)
    examples = ({"type": "hinge", "margin": 1},)

    def each(self, outputs: Outputs, targets: Targets, n: Numbers, *, platform: str) -> Each:
        is_class = one_hot(targets, outputs) > 0
        own = jnp.where(is_class, outputs, 0).sum(-1, keepdims=True)
        parts = jnp.maximum(n["margin"] - own + outputs, 0) ** self.p
        each = jnp.where(is_class, 0, parts).mean(-1)
        return each * of_class(n["weight"], targets) if "weight" in n else each
