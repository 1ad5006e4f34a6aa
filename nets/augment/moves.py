"""Flips, crops and translations: every pixel is one of the image, and bytes stay bytes."""

from __future__ import annotations

from typing import Annotated, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array
from pydantic import Field

from nets.augment.base import AUGMENTATIONS, Chance, Fill, Geometric, Numbers, Probability
from nets.augment.resample import Border
from nets.spec.fields import Real, Whole
from nets.spec.traced import Traced

Size = tuple[int, int]
Borders = Annotated[
    Border,
    Field(
        description="What is outside of the image: `fill`, the edge repeated, pixels mirrored at the edge without and "
        "with the edge itself repeated, or pixels of the other side."
    ),
]
Half = Annotated[Probability, Field(description="Share of the images that are flipped.")]


def at(values: Array) -> Array:
    """A value of each sample beside rows and columns: `[batch, 1, 1]`."""
    return values[:, None, None]


class Move(Geometric):
    """What moves by whole pixels share."""

    whole = True


class Flip(Move):
    """What flips share: no pixel comes from outside of the image."""

    @property
    def border(self) -> str:
        return "edge"


@AUGMENTATIONS.register
class HorizontalFlip(Flip):
    """Left and right swapped. torchvision's `RandomHorizontalFlip`, Keras's `RandomFlip("horizontal")`."""

    type: Literal["horizontal_flip"] = "horizontal_flip"
    p: Half = 0.5

    also = ("random_horizontal_flip", "hflip")
    examples = ({"type": "horizontal_flip", "p": 0.5},)

    def source(self, y: Array, x: Array, chance: Chance, n: Numbers, size: Size) -> tuple[Array, Array]:
        return y, jnp.where(at(chance.happens(n["p"])), size[1] - 1 - x, x)


@AUGMENTATIONS.register
class VerticalFlip(Flip):
    """Top and bottom swapped. torchvision's `RandomVerticalFlip`, Keras's `RandomFlip("vertical")`."""

    type: Literal["vertical_flip"] = "vertical_flip"
    p: Half = 0.5

    also = ("random_vertical_flip", "vflip")
    examples = ({"type": "vertical_flip", "p": 0.5},)

    def source(self, y: Array, x: Array, chance: Chance, n: Numbers, size: Size) -> tuple[Array, Array]:
        return jnp.where(at(chance.happens(n["p"])), size[0] - 1 - y, y), x


@AUGMENTATIONS.register
class AlternatingFlip(Flip):
    """Left and right swapped every other epoch: in the first epoch of half of the images, chosen by the seed, in the
    second of the others, and so on, so that two epochs see every image both ways. airbench94; Jordan, 2024.
    """

    type: Literal["alternating_flip"] = "alternating_flip"

    also = ("alternate_flip",)
    examples = ({"type": "alternating_flip"},)

    def source(self, y: Array, x: Array, chance: Chance, n: Numbers, size: Size) -> tuple[Array, Array]:
        of_samples = jax.vmap(lambda sample: jax.random.fold_in(chance.always, sample))(chance.samples)
        first = jax.vmap(jax.random.bits)(of_samples) % 2 == 0
        return y, jnp.where(at(first ^ (chance.epoch % 2 == 1)), size[1] - 1 - x, x)


@AUGMENTATIONS.register
class RandomCrop(Move):
    """A window as large as the image, anywhere in the image with so many pixels added on each side. torchvision's
    `RandomCrop(size, padding)` and airbench's `translate`.
    """

    type: Literal["random_crop"] = "random_crop"
    padding: Annotated[Whole, Field(ge=0, le=512, description="Pixels added on each side."), Traced()] = 4
    mode: Borders = "constant"
    fill: Fill = 0.0

    also = ("crop", "pad_and_crop")
    aliases = {"padding_mode": "mode", "fill_mode": "mode"}
    examples = (
        {"type": "random_crop", "padding": 4, "mode": "reflect"},
        {"type": "random_crop", "padding": 2, "mode": "constant", "fill": 0.5},
    )

    @property
    def border(self) -> str:
        return self.mode

    def source(self, y: Array, x: Array, chance: Chance, n: Numbers, size: Size) -> tuple[Array, Array]:
        most = 2 * n["padding"]
        offset = jnp.minimum(jnp.floor(chance.uniform(2) * (most + 1)), most) - n["padding"]
        return y + at(offset[:, 0]).astype(y.dtype), x + at(offset[:, 1]).astype(x.dtype)


@AUGMENTATIONS.register
class Translate(Move):
    """Moved up or down and left or right, by whole pixels. Keras's `RandomTranslation`, torchvision's
    `RandomAffine(0, translate)`.
    """

    type: Literal["translate"] = "translate"
    height_factor: Annotated[Real, Field(ge=0, le=1), Traced()] = Field(
        0.1, description="How far up or down at most, as a share of the height."
    )
    width_factor: Annotated[Real, Field(ge=0, le=1), Traced()] = Field(
        0.1, description="How far left or right at most, as a share of the width."
    )
    p: Probability = 1.0
    mode: Borders = "constant"
    fill: Fill = 0.0

    also = ("random_translation", "random_translate")
    aliases = {"padding_mode": "mode", "fill_mode": "mode", "fill_value": "fill"}
    examples = ({"type": "translate", "height_factor": 0.2, "width_factor": 0.1, "mode": "edge"},)

    @property
    def border(self) -> str:
        return self.mode

    def source(self, y: Array, x: Array, chance: Chance, n: Numbers, size: Size) -> tuple[Array, Array]:
        most = jnp.stack([n["height_factor"] * size[0], n["width_factor"] * size[1]])
        by = jnp.round((2 * chance.uniform(2) - 1) * most) * chance.happens(n["p"])[:, None]
        return y - at(by[:, 0]).astype(y.dtype), x - at(by[:, 1]).astype(x.dtype)
