"""Elastic deformations."""

from __future__ import annotations

from typing import Annotated, Literal

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from pydantic import Field

from nets.augment.base import AUGMENTATIONS, Chance, Numbers
from nets.augment.moves import Size
from nets.augment.warps import Warp
from nets.spec.fields import Real
from nets.spec.traced import Traced


@AUGMENTATIONS.register
class Elastic(Warp):
    """Every pixel moved a little, neighbours alike. torchvision's `ElasticTransform`; Simard et al., 2003."""

    nanoseconds, held = 30.0, 12.0
    type: Literal["elastic"] = "elastic"
    alpha: Annotated[Real, Field(ge=0, le=10_000), Traced()] = Field(
        50.0, description="Strength: twice the pixels that a displacement of 1 before smoothing would move by."
    )
    sigma: Annotated[Real, Field(gt=0, le=1000), Traced()] = Field(
        5.0, description="Deviation of the Gaussian by which displacements are smoothed, in pixels."
    )

    also = ("elastic_transform", "random_elastic_transform")
    examples = ({"type": "elastic", "alpha": 40.0, "sigma": 4.0},)

    def warp(self, y: Array, x: Array, chance: Chance, n: Numbers, size: Size) -> tuple[Array, Array]:
        drawn = 2 * chance.uniform(2, *size) - 1
        rows, columns = (smoothing(each, n["sigma"]) for each in size)
        by = jnp.einsum("yi,bkij,xj->bkyx", rows, drawn, columns) * (n["alpha"] / 2)
        return y + moved(by[:, 0], y, x), x + moved(by[:, 1], y, x)


def moved(by: Float[Array, "batch height width"], y: Array, x: Array) -> Array:
    """Displacements of places, those of the nearest pixels: of places that are pixels, their own."""
    batch = jnp.arange(len(by), dtype=jnp.int32)[:, None, None]
    row = jnp.clip(jnp.round(y), 0, by.shape[1] - 1).astype(jnp.int32)
    column = jnp.clip(jnp.round(x), 0, by.shape[2] - 1).astype(jnp.int32)
    found: Array = by.at[batch, row, column].get(mode="promise_in_bounds")
    return found


def smoothing(size: int, sigma: Array) -> Float[Array, "size size"]:
    """A Gaussian along an axis as a matrix, four deviations far, mirrored at the edges."""
    last = max(size - 1, 1)
    places = np.arange(-last, size + last)
    mirrored = last - np.abs(places % (2 * last) - last) if size > 1 else np.zeros_like(places)
    inside = jnp.asarray(mirrored[:, None] == np.arange(size), jnp.float32)
    distance = jnp.asarray(np.arange(size)[:, None] - places[None], jnp.float32)
    weights = jnp.exp(-((distance / sigma) ** 2) / 2) * (jnp.abs(distance) <= 4 * sigma)
    return (weights / weights.sum(1, keepdims=True)) @ inside
