"""What a regularizer is: something that is made small beside the loss, of chosen layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from jaxtyping import Array, Float
from pydantic import Field

from nets.optimizers.groups import Patterns
from nets.spec.fields import Real
from nets.spec.registry import Registry, Typed
from nets.spec.traced import Traced


class Regularizer(Typed):
    """Base of the regularizers."""

    weight: Annotated[Real, Field(gt=0, le=1e6), Traced()] = Field(
        default=0.01, description="What it is multiplied by before it is added to the loss."
    )
    layers: Annotated[Patterns, Field(min_length=1)] = Field(
        default=("*",), description="Names of layers, or patterns of names as those of `groups`."
    )

    examples: ClassVar[tuple[Mapping[str, Any], ...]] = ()
    aliases = {"factor": "weight", "lambda": "weight"}


class OfWeights(Regularizer):
    """One of the weights that products multiply by: matrices and kernels, without biases, norms and embeddings."""

    def penalty(self, kernel: Float[Array, "*window width"]) -> Float[Array, ""]:
        """Of the weights of one layer, the last axis what goes out."""
        raise AssertionError(f"{type(self).__name__} has no penalty")


class OfActivity(Regularizer):
    """One of what layers give."""

    def each(self, values: Float[Array, "batch ..."]) -> Float[Array, " batch"]:
        """Of what one layer gives, for each sample."""
        raise AssertionError(f"{type(self).__name__} has no each")


REGULARIZERS: Registry[Regularizer] = Registry("regularizer", example={"type": "l1", "weight": 0.0001, "layers": "*"})
