"""What an augmentation is: a small specification, and what it does with the images of a batch while training.

Images are `[batch, height, width, channels]`: uint8 0..255 or float32 0..1. Numbers reach a program as traced scalars,
so that one compiled program serves every probability, range and magnitude.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int
from pydantic import Field

from nets.spec.fields import Real
from nets.spec.registry import Registry, Typed
from nets.spec.traced import Traced

Numbers = Mapping[str, Array]
Images = Array  # [batch, height, width, channels]
Probability = Annotated[Real, Field(ge=0, le=1, description="Share of the images that it is done to."), Traced()]
Fill = Annotated[
    Real,
    Field(ge=0, le=1, description="Grey value, from 0 to 1, of pixels that come from outside of the image."),
    Traced(),
]


class Chance(NamedTuple):
    """What differs between the samples of a batch, for one augmentation.

    keys: one for each sample, of this step. samples: which one of the data set each is. epoch: how many came before.
    always: the key of this augmentation in all steps of the run.
    """

    keys: Array
    samples: Int[Array, " batch"]
    epoch: Int[Array, ""]
    always: Array

    def apart(self, number: int) -> Chance:
        """Another stream of random numbers of the same samples."""
        return self._replace(keys=each_with(self.keys, number))

    def uniform(self, *shape: int) -> Array:
        """Numbers from 0 to 1 of each sample, so many: `[batch, *shape]`."""
        drawn: Array = jax.vmap(lambda key: jax.random.uniform(key, shape))(self.keys)
        return drawn

    def normal(self, *shape: int) -> Array:
        """Numbers of mean 0 and deviation 1 of each sample: `[batch, *shape]`."""
        drawn: Array = jax.vmap(lambda key: jax.random.normal(key, shape))(self.keys)
        return drawn

    def happens(self, p: Array) -> Array:
        """Which samples it is done to."""
        return self.apart(HAPPENS).uniform() < p


HAPPENS, SIGN = 0x70, 0x73  # streams that no augmentation uses for anything else


def each_with(keys: Array, number: Any) -> Array:
    """A key made of each, by one number or one of each."""
    made: Array = jax.vmap(jax.random.fold_in, (0, None if jnp.ndim(number) == 0 else 0))(keys, number)
    return made


def between(share: Array, n: Numbers, name: str) -> Array:
    """Numbers of the range called `name`, from shares of it between 0 and 1."""
    return n[f"{name}_low"] + share * (n[f"{name}_high"] - n[f"{name}_low"])


class Augmentation(Typed):
    """Base of the augmentations. examples: as clients send it. colours: whether it needs them, and leaves grey images
    as they are. nanoseconds: that it takes for each value of an image, as measured with two cores and MNIST. held: what
    it works with beside the images, as a share of them as floats.
    """

    nanoseconds: ClassVar[float] = 0.5
    held: ClassVar[float] = 0.2
    examples: ClassVar[tuple[Mapping[str, Any], ...]]
    colours: ClassVar[bool] = False
    mixes: ClassVar[bool] = False

    @property
    def rounds(self) -> int:
        """How often it does what it does."""
        return 1


class Geometric(Augmentation):
    """One that says for each pixel where in the image its value comes from.

    whole: whether that is always a pixel, so that nothing is interpolated, and an axis of its own for rows and columns.
    """

    whole: ClassVar[bool] = False

    @property
    def border(self) -> str:
        """What is outside of the image; `constant` is the number called fill."""
        return "constant"

    def source(self, y: Array, x: Array, chance: Chance, n: Numbers, size: tuple[int, int]) -> tuple[Array, Array]:
        """Rows and columns, counted from the first one, in an image of this height and width. They come in as whole
        numbers and in shapes that broadcast to `[batch, height, width]` where all of a run are `whole`, else as floats.
        """
        raise AssertionError(f"{type(self).__name__} has no source")


class OfPixels(Augmentation):
    """One that changes the values of pixels. bytes_do: whether it takes images of bytes as they are."""

    bytes_do: ClassVar[bool] = False

    def apply(self, images: Images, chance: Chance, n: Numbers) -> Images:
        """What becomes of images of floats, or of bytes where these do."""
        raise AssertionError(f"{type(self).__name__} does nothing")


def as_floats(images: Images) -> Float[Array, "batch height width channels"]:
    """Values from 0 to 1."""
    return images / jnp.float32(255) if images.dtype == jnp.uint8 else images


def as_values(fill: Array, images: Images) -> Array:
    """Grey values from 0 to 1 as images have them."""
    return jnp.round(fill * 255).astype(jnp.uint8) if images.dtype == jnp.uint8 else fill


def for_each(values: Array) -> Array:
    """A value of each sample beside its image: `[batch, 1, 1, 1]`."""
    return values[:, None, None, None]


AUGMENTATIONS: Registry[Augmentation] = Registry("augmentation", example={"type": "horizontal_flip", "p": 0.5})
