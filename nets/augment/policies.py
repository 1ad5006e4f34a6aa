"""RandAugment and TrivialAugment: operations drawn for each image anew, of one list of fourteen.

Each round computes all kinds of operations for all images, those that an image has not drawn with numbers that leave
it as it is: neighbours in a batch draw different ones.
"""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int
from pydantic import Field, ValidationInfo, field_validator

from nets.augment.base import AUGMENTATIONS, Chance, Fill, Images, Numbers, OfPixels, for_each
from nets.augment.colours import blended, grey
from nets.augment.noise import along
from nets.augment.resample import interpolated, share_inside
from nets.augment.warps import by_matrix, middle, rotation, sheared
from nets.errors import BrokenRule
from nets.spec.fields import Whole
from nets.spec.traced import Traced

Bins = Annotated[Whole, Field(ge=2, le=1000, description="How many strengths there are, from none on."), Traced()]
OPERATIONS = (
    *("nothing", "shear_x", "shear_y", "translate_x", "translate_y", "rotate"),
    *("brightness", "color", "contrast", "sharpness"),
    *("posterize", "solarize", "autocontrast", "equalize"),
)
NUMBERS = {name: number for number, name in enumerate(OPERATIONS)}
SHARPNESS = (1 / 13, 5 / 13)  # of the neighbours and of a pixel itself in what is subtracted


class Most(NamedTuple):
    """The largest magnitudes of a policy. translate: in pixels. bits: that `posterize` takes away."""

    shear: float
    translate_x: float
    translate_y: float
    degrees: float
    factor: float
    bits: float


class Drawn(NamedTuple):
    """What each image of a batch has drawn. magnitude: from 0 to 1. sign: -1 or 1."""

    operation: Int[Array, " batch"]
    magnitude: Float[Array, " batch"]
    sign: Float[Array, " batch"]

    def where(self, name: str, value: Array | float, other: Array | float = 0.0) -> Array:
        """A value of those that drew an operation, of the others another one."""
        return jnp.where(self.operation == NUMBERS[name], value, other)


def operated(images: Images, drawn: Drawn, most: Most, fill: Array) -> Images:
    """Each image by the operation that it drew; torchvision's, but that places between pixels are interpolated."""
    moved = warped(images, drawn, most, fill)
    toned = blended(moved, others(moved, drawn), for_each(1 + most.factor * drawn.magnitude * drawn.sign))
    return of_bytes(toned, drawn, most)


def warped(images: Images, drawn: Drawn, most: Most, fill: Array) -> Images:
    """Those moved that drew such an operation."""
    size = height, width = images.shape[1], images.shape[2]
    signed = drawn.magnitude * drawn.sign
    shear_x, shear_y = (drawn.where(name, most.shear * signed) for name in ("shear_x", "shear_y"))
    right, down = (
        drawn.where(name, jnp.trunc(far * signed))[:, None, None]
        for name, far in (("translate_x", most.translate_x), ("translate_y", most.translate_y))
    )
    y, x = jnp.arange(height, dtype=jnp.float32)[None, :, None], jnp.arange(width, dtype=jnp.float32)[None, None, :]
    y, x = by_matrix(y, x, sheared(shear_x, shear_y), (-0.5, -0.5))  # about the upper left corner
    y, x = by_matrix(y, x, rotation(drawn.where("rotate", most.degrees * signed)), middle(size))
    y, x = y - down, x - right
    inside = (share_inside(y, height) * share_inside(x, width))[..., None]
    found = interpolated(images, jnp.clip(y, 0, height - 1), jnp.clip(x, 0, width - 1))
    return found * inside + fill * (1 - inside)


def others(images: Images, drawn: Drawn) -> Array:
    """What a factor of 0 makes of those that drew one: all else are their own."""
    colourless = grey(images)
    beside = for_each(drawn.operation)
    found = jnp.where(beside == NUMBERS["brightness"], 0, images)
    found = jnp.where(beside == NUMBERS["color"], colourless, found)
    found = jnp.where(beside == NUMBERS["contrast"], colourless.mean((1, 2, 3), keepdims=True), found)
    return jnp.where(beside == NUMBERS["sharpness"], smoothed(images), found)


def smoothed(images: Images) -> Images:
    """A mean of each pixel and its neighbours; pixels at the edge stay."""
    neighbour, own = SHARPNESS
    ones = jnp.ones((len(images), 3), jnp.float32)
    around = along(along(images, ones, 1), ones, 2)
    rows, columns = ((jnp.arange(each) > 0) & (jnp.arange(each) < each - 1) for each in images.shape[1:3])
    inner = rows[:, None, None] & columns[:, None]
    return jnp.where(inner, around * neighbour + images * (own - neighbour), images)


def of_bytes(images: Images, drawn: Drawn, most: Most) -> Images:
    """Those that drew an operation of grey values 0..255."""
    grey_values = jnp.round(images * 255)
    beside, magnitude = for_each(drawn.operation), for_each(drawn.magnitude)
    step = 2 ** jnp.round(most.bits * magnitude)
    found = jnp.where(beside == NUMBERS["posterize"], jnp.floor(grey_values / step) * step / 255, images)
    bright = grey_values >= 255 * (1 - magnitude)
    found = jnp.where((beside == NUMBERS["solarize"]) & bright, 1 - images, found)
    found = jnp.where(beside == NUMBERS["autocontrast"], stretched(images), found)
    return jnp.where(beside == NUMBERS["equalize"], equalized(grey_values.astype(jnp.int32)), found)


def stretched(images: Images) -> Images:
    """Each channel from 0 to 1, unless it has one value alone."""
    low, high = images.min((1, 2), keepdims=True), images.max((1, 2), keepdims=True)
    return jnp.where(high > low, (images - low) / jnp.where(high > low, high - low, 1), images)


def equalized(grey_values: Int[Array, "batch height width channels"]) -> Images:
    """Grey values of each channel about equally often. PIL's `ImageOps.equalize`."""
    batch, height, width, channels = grey_values.shape
    values = grey_values.reshape(batch, height * width, channels)
    digits = (values[..., None] >> 4 == jnp.arange(16), values[..., None] & 15 == jnp.arange(16))
    # A histogram without a scatter: how often each pair of hexadecimal digits comes.
    counts = jnp.einsum("bpch,bpcl->bchl", *(each.astype(jnp.float32) for each in digits)).reshape(batch, channels, 256)
    brightest = values.max(1)[..., None] == jnp.arange(256)
    step = jnp.floor((counts.sum(-1) - (counts * brightest).sum(-1)) / 255)[..., None]
    before = jnp.cumsum(counts, -1) - counts
    table = jnp.clip(jnp.floor((before + jnp.floor(step / 2)) / jnp.maximum(step, 1)), 0, 255)
    table = jnp.where(step == 0, jnp.arange(256), table)
    found = jnp.take_along_axis(table, values.transpose(0, 2, 1), axis=2)
    return (found / 255).transpose(0, 2, 1).reshape(grey_values.shape)


@AUGMENTATIONS.register
class RandAugment(OfPixels):
    """`num_ops` operations one after the other, drawn for each image of: identity, shear and translate along x and y,
    rotate, brightness, color, contrast, sharpness, posterize, solarize, autocontrast, equalize. torchvision's
    `RandAugment`, but bilinear. Cubuk et al., 2020.
    """

    nanoseconds, held = 52.0, 40.0
    type: Literal["randaugment"] = "randaugment"
    num_ops: Annotated[Whole, Field(ge=1, le=8)] = Field(2, description="Operations of each image.")
    num_magnitude_bins: Bins = 31
    magnitude: Annotated[Whole, Field(ge=0, le=999), Traced()] = Field(
        9, description="Their strength, below `num_magnitude_bins`."
    )
    fill: Fill = 0.0

    also = ("rand_augment",)
    aliases = {"n": "num_ops", "m": "magnitude"}
    examples = ({"type": "randaugment", "num_ops": 2, "magnitude": 9},)

    @property
    def rounds(self) -> int:
        return self.num_ops

    @field_validator("magnitude")
    @classmethod
    def is_one_of_the_bins(cls, magnitude: int, info: ValidationInfo) -> int:
        """The last one is the strongest."""
        bins = info.data.get("num_magnitude_bins", 1000)
        if magnitude >= bins:
            rule = f"must be below num_magnitude_bins = {bins}, got {magnitude}"
            raise BrokenRule(rule, "out_of_range", expected={"type": "integer", "minimum": 0, "maximum": bins - 1})
        return magnitude

    def apply(self, images: Images, chance: Chance, n: Numbers) -> Images:
        height, width = images.shape[1:3]
        most = Most(0.3, 150 / 331 * width, 150 / 331 * height, 30, 0.9, 4)
        drawn = chance.uniform(self.num_ops, 2)
        magnitude = jnp.full(len(images), n["magnitude"] / (n["num_magnitude_bins"] - 1))
        for number in range(self.num_ops):
            images = operated(images, picked(drawn[:, number], magnitude), most, n["fill"])
        return images


@AUGMENTATIONS.register
class TrivialAugment(OfPixels):
    """One operation of those of `randaugment`, of any strength, up to stronger ones: torchvision's
    `TrivialAugmentWide`, but bilinear. Mueller & Hutter, 2021.
    """

    nanoseconds, held = 50.0, 40.0
    type: Literal["trivial_augment"] = "trivial_augment"
    num_magnitude_bins: Bins = 31
    fill: Fill = 0.0

    also = ("trivialaugment", "trivial_augment_wide")
    examples = ({"type": "trivial_augment"},)

    def apply(self, images: Images, chance: Chance, n: Numbers) -> Images:
        drawn, bins = chance.uniform(3), n["num_magnitude_bins"]
        magnitude = jnp.minimum(jnp.floor(drawn[:, 2] * bins), bins - 1) / (bins - 1)
        return operated(images, picked(drawn, magnitude), Most(0.99, 32, 32, 135, 0.99, 6), n["fill"])


def picked(drawn: Float[Array, "batch two"], magnitude: Float[Array, " batch"]) -> Drawn:
    """An operation and a sign of each image by two numbers from 0 to 1."""
    operation = jnp.minimum((drawn[:, 0] * len(OPERATIONS)).astype(jnp.int32), len(OPERATIONS) - 1)
    return Drawn(operation, magnitude, jnp.where(drawn[:, 1] < 0.5, -1.0, 1.0))
