"""Noise and blur."""

from __future__ import annotations

from typing import Annotated, Literal

import jax.numpy as jnp
from jaxtyping import Array
from pydantic import AfterValidator, Field

from nets.augment.base import AUGMENTATIONS, Chance, Images, Numbers, OfPixels, Probability, between
from nets.augment.ranges import Sigmas
from nets.augment.resample import brought_in
from nets.errors import BrokenRule
from nets.spec.fields import Boolean, Real, Whole
from nets.spec.traced import Traced


def odd(value: int) -> int:
    if value % 2 == 0:
        raise BrokenRule(f"must be odd, got {value}", "out_of_range", set_to=value + 1)
    return value


@AUGMENTATIONS.register
class NormalNoise(OfPixels):
    """Numbers of a normal distribution added to every value. torchvision's `v2.GaussianNoise`."""

    nanoseconds, held = 15.0, 4.5
    type: Literal["gaussian_noise"] = "gaussian_noise"
    mean: Annotated[Real, Field(ge=-1, le=1), Traced()] = Field(0.0, description="Mean of the noise.")
    sigma: Annotated[Real, Field(ge=0, le=10), Traced()] = Field(0.1, description="Deviation of the noise.")
    clip: Boolean = Field(True, description="Whether values stay from 0 to 1.")
    p: Probability = 1.0

    also = ("noise", "random_gaussian_noise")
    aliases = {"std": "sigma", "stddev": "sigma"}
    examples = ({"type": "gaussian_noise", "sigma": 0.1},)

    def apply(self, images: Images, chance: Chance, n: Numbers) -> Images:
        noisy = images + n["mean"] + n["sigma"] * chance.normal(*images.shape[1:])
        return jnp.clip(noisy, 0, 1) if self.clip else noisy


@AUGMENTATIONS.register
class Blur(OfPixels):
    """A mean of each pixel and its neighbours by a Gaussian, mirrored at the edges. torchvision's `GaussianBlur`."""

    nanoseconds, held = 5.0, 1.5
    type: Literal["blur"] = "blur"
    kernel_size: Annotated[Whole, Field(ge=3, le=63), AfterValidator(odd)] = Field(
        3, description="Pixels of a side that the mean is of; odd."
    )
    sigma: Annotated[Sigmas, Traced(names=("sigma_low", "sigma_high"))] = Field(
        (0.1, 2.0), description="Deviation of the Gaussian, in pixels: a range `[low, high]`, or one number."
    )
    p: Probability = 1.0

    also = ("gaussian_blur", "random_blur", "random_gaussian_blur")
    examples = ({"type": "blur", "kernel_size": 5, "sigma": [0.5, 2.0]},)

    def apply(self, images: Images, chance: Chance, n: Numbers) -> Images:
        far = jnp.arange(self.kernel_size, dtype=jnp.float32) - self.kernel_size // 2
        sigma = between(chance.uniform(), n, "sigma")[:, None]
        weights = jnp.exp(-((far / sigma) ** 2) / 2)
        weights = weights / weights.sum(1, keepdims=True)
        return along(along(images, weights, 1), weights, 2)


def along(images: Images, weights: Array, axis: int) -> Images:
    """Means along an axis by weights of each image: `[batch, places]`, the middle one of the pixel itself."""
    size, places = images.shape[axis], weights.shape[1]
    total = jnp.zeros_like(images)
    for number in range(places):
        from_where = brought_in("reflect", jnp.arange(size) + number - places // 2, size)
        total = total + jnp.take(images, from_where, axis=axis) * weights[:, number, None, None, None]
    return total
