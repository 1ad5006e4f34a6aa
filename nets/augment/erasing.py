"""Boxes of images that are covered."""

from __future__ import annotations

from typing import Annotated, Literal

import jax.numpy as jnp
from jaxtyping import Array
from pydantic import Field

from nets.augment.base import (
    AUGMENTATIONS,
    Chance,
    Images,
    Numbers,
    OfPixels,
    Probability,
    as_values,
    between,
)
from nets.augment.ranges import Scales, Shares
from nets.spec.fields import Real
from nets.spec.traced import Traced

TRIES = 10  # boxes drawn until one fits, as in torchvision


@AUGMENTATIONS.register
class Cutout(OfPixels):
    """A square about any pixel of the image covered, of which a part may be outside. DeVries & Taylor, 2017."""

    type: Literal["cutout"] = "cutout"
    size: Annotated[Real, Field(gt=0, le=4096), Traced()] = Field(8, description="Pixels of a side.")
    fill: Annotated[Real, Field(ge=0, le=1), Traced()] = Field(0.0, description="Its grey value, from 0 to 1.")
    p: Probability = 1.0

    bytes_do = True
    also = ("random_cutout",)
    aliases = {"length": "size", "fill_value": "fill", "value": "fill"}
    examples = ({"type": "cutout", "size": 8},)

    def apply(self, images: Images, chance: Chance, n: Numbers) -> Images:
        height, width = images.shape[1:3]
        centre = jnp.floor(chance.uniform(2) * jnp.array([height, width]))
        first = centre - jnp.floor(n["size"] / 2)
        box = between_places(first, jnp.broadcast_to(jnp.floor(n["size"]), first.shape), (height, width))
        return jnp.where(box, as_values(n["fill"], images), images)


@AUGMENTATIONS.register
class RandomErasing(OfPixels):
    """A box of the image covered. torchvision's `RandomErasing`; Zhong et al., 2020."""

    nanoseconds, held = 2.0, 0.5
    type: Literal["random_erasing"] = "random_erasing"
    p: Annotated[Probability, Field(description="Share of the images of which a box is covered.")] = 0.5
    scale: Annotated[Shares, Traced(names=("scale_low", "scale_high"))] = Field(
        (0.02, 0.33), description="Area of the box as a share of the image: a range `[low, high]`, or one number."
    )
    ratio: Annotated[Scales, Traced(names=("ratio_low", "ratio_high"))] = Field(
        (0.3, 3.3), description="Height of the box by its width: a range `[low, high]`, or one number."
    )
    value: Annotated[Annotated[Real, Field(ge=0, le=1)] | Literal["random"], Traced(absent="random")] = Field(
        0.0, description="Its grey value, from 0 to 1, or `random` for noise of a normal distribution."
    )

    bytes_do = True
    also = ("random_erase",)
    aliases = {"fill": "value", "fill_value": "value"}
    examples = ({"type": "random_erasing", "p": 1.0}, {"type": "random_erasing", "p": 0.5, "value": "random"})

    def apply(self, images: Images, chance: Chance, n: Numbers) -> Images:
        size = jnp.array(images.shape[1:3], jnp.float32)
        drawn = chance.uniform(TRIES, 4)
        area = between(drawn[..., 0], n, "scale") * size.prod()
        low, high = jnp.log(n["ratio_low"]), jnp.log(n["ratio_high"])
        ratio = jnp.exp(low + drawn[..., 1] * (high - low))
        sides = jnp.round(jnp.sqrt(jnp.stack([area * ratio, area / ratio], axis=-1)))
        fits = (sides < size).all(-1) & (sides > 0).all(-1)
        which = jnp.argmax(fits, axis=1)[:, None, None]
        chosen = jnp.take_along_axis(jnp.concatenate([sides, drawn[..., 2:]], axis=-1), which, axis=1)[:, 0]
        side = jnp.where(fits.any(1)[:, None], chosen[:, :2], 0)
        first = jnp.floor(chosen[:, 2:] * (size - side + 1))
        box = between_places(first, side, (images.shape[1], images.shape[2]))
        if "value" in n:
            return jnp.where(box, as_values(n["value"], images), images)
        noise = jnp.clip(chance.apart(1).normal(*images.shape[1:]), 0, 1)
        return jnp.where(box, as_values(noise, images), images)


def between_places(first: Array, side: Array, size: tuple[int, int]) -> Array:
    """Which pixels a box of each image covers: `[batch, height, width, 1]`. first, side: `[batch, 2]`."""
    rows, columns = (
        (jnp.arange(each) >= first[:, i, None]) & (jnp.arange(each) < (first + side)[:, i, None])
        for i, each in enumerate(size)
    )
    return (rows[:, :, None] & columns[:, None, :])[..., None]
