"""Brightness, contrast, saturation and hue, by torchvision's formulas."""

from __future__ import annotations

from typing import Annotated, Literal

import jax.numpy as jnp
from jaxtyping import Array, Float
from pydantic import Field

from nets.augment.base import AUGMENTATIONS, Chance, Images, Numbers, OfPixels, Probability, between, for_each
from nets.augment.ranges import Factors, Turns
from nets.spec.traced import Traced

GREY = (0.2989, 0.587, 0.114)  # of red, green and blue
Jitter = Annotated[Factors, Traced(names=("factor_low", "factor_high"))]
FACTORS = "Factors: a range `[low, high]`, or how far they are from 1 at most."


def grey(images: Images) -> Float[Array, "batch height width 1"]:
    """Images of one channel are their own."""
    return images if images.shape[-1] == 1 else (images * jnp.array(GREY, jnp.float32)).sum(-1, keepdims=True)


def blended(images: Images, others: Array, factor: Array) -> Images:
    """`factor` times the images and the rest of 1 times others, from 0 to 1."""
    return jnp.clip(others + factor * (images - others), 0, 1)


class Jittered(OfPixels):
    """What changes colours by a factor."""

    p: Probability = 1.0

    def apply(self, images: Images, chance: Chance, n: Numbers) -> Images:
        return blended(images, self.without(images), for_each(between(chance.uniform(), n, "factor")))

    def without(self, images: Images) -> Array:
        """What a factor of 0 gives."""
        raise AssertionError(f"{type(self).__name__} has no images without it")


@AUGMENTATIONS.register
class Brightness(Jittered):
    """Every value times a factor. torchvision's `ColorJitter(brightness=...)`."""

    type: Literal["brightness"] = "brightness"
    factor: Jitter = Field((0.6, 1.4), description=FACTORS)

    also = ("random_brightness",)
    aliases = {"brightness": "factor"}
    examples = ({"type": "brightness", "factor": 0.4}, {"type": "brightness", "factor": [0.5, 2]})

    def without(self, images: Images) -> Array:
        return jnp.zeros_like(images)


@AUGMENTATIONS.register
class Contrast(Jittered):
    """The distance of every value to the mean grey of the image times a factor. torchvision's
    `ColorJitter(contrast=...)`.
    """

    nanoseconds, held = 1.6, 1.5
    type: Literal["contrast"] = "contrast"
    factor: Jitter = Field((0.6, 1.4), description=FACTORS)

    also = ("random_contrast",)
    aliases = {"contrast": "factor"}
    examples = ({"type": "contrast", "factor": 0.4},)

    def without(self, images: Images) -> Array:
        return grey(images).mean((1, 2, 3), keepdims=True)


@AUGMENTATIONS.register
class Saturation(Jittered):
    """The distance of every colour to its grey times a factor; grey images stay. torchvision's
    `ColorJitter(saturation=...)`.
    """

    type: Literal["saturation"] = "saturation"
    factor: Jitter = Field((0.6, 1.4), description=FACTORS)

    also = ("random_saturation",)
    aliases = {"saturation": "factor"}
    colours = True
    examples = ({"type": "saturation", "factor": 0.4},)

    def without(self, images: Images) -> Array:
        return grey(images)


@AUGMENTATIONS.register
class Hue(OfPixels):
    """Colours turned on their wheel; grey images stay. torchvision's `ColorJitter(hue=...)`."""

    nanoseconds, held = 2.0, 2.0
    type: Literal["hue"] = "hue"
    factor: Annotated[Turns, Traced(names=("factor_low", "factor_high"))] = Field(
        (-0.1, 0.1), description="Turns, from -0.5 to 0.5: one number is the range from minus to plus."
    )
    p: Probability = 1.0

    also = ("random_hue",)
    aliases = {"hue": "factor"}
    colours = True
    examples = ({"type": "hue", "factor": 0.1},)

    def apply(self, images: Images, chance: Chance, n: Numbers) -> Images:
        if images.shape[-1] != 3:
            return images
        return turned(images, between(chance.uniform(), n, "factor")[:, None, None])


def turned(images: Images, by: Array) -> Images:
    """Images with another hue: the way to HSV and back, of which saturation and value stay."""
    high, low = images.max(-1), images.min(-1)
    span = high - low
    red, green, blue = ((high - images[..., i]) / jnp.where(span == 0, 1, span) for i in range(3))
    of_red, of_green = images[..., 0] == high, images[..., 1] == high
    sector = jnp.where(of_red, blue - green, jnp.where(of_green, 2 + red - blue, 4 + green - red))
    hue = (sector / 6 + 1 + by) % 1
    shifted = (hue[..., None] * 6 + jnp.array([5, 3, 1], jnp.float32)) % 6
    return high[..., None] - span[..., None] * jnp.clip(jnp.minimum(shifted, 4 - shifted), 0, 1)
