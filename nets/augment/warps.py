"""Rotations, scales, shears and perspectives: places between pixels, read by bilinear interpolation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import jax.numpy as jnp
from jaxtyping import Array, Float
from pydantic import Field

from nets.augment.base import AUGMENTATIONS, Chance, Fill, Geometric, Numbers, Probability, between
from nets.augment.moves import Borders, Size, at
from nets.augment.ranges import Angles, Scales, Slants
from nets.spec.fields import Real
from nets.spec.traced import Traced

Homography = Float[Array, "batch 3 3"]


class Warp(Geometric):
    """What warps share."""

    nanoseconds = 2.7
    p: Probability = 1.0
    mode: Borders = "constant"
    fill: Fill = 0.0

    aliases = {"padding_mode": "mode", "fill_mode": "mode", "fill_value": "fill"}

    @property
    def border(self) -> str:
        return self.mode

    def source(self, y: Array, x: Array, chance: Chance, n: Numbers, size: Size) -> tuple[Array, Array]:
        happens, y, x = at(chance.happens(n["p"])), y.astype(jnp.float32), x.astype(jnp.float32)
        from_y, from_x = self.warp(y, x, chance, n, size)
        return jnp.where(happens, from_y, y), jnp.where(happens, from_x, x)

    def warp(self, y: Array, x: Array, chance: Chance, n: Numbers, size: Size) -> tuple[Array, Array]:
        """As `source`, of images that it is done to."""
        raise AssertionError(f"{type(self).__name__} has no warp")


def by_matrix(
    y: Array, x: Array, matrix: Sequence[Sequence[Array]], centre: tuple[float, float]
) -> tuple[Array, Array]:
    """Offsets from a centre (row, column) by a matrix of each sample, whose rows give x and y."""
    (xx, xy), (yx, yy) = ([at(each) for each in row] for row in matrix)
    below, right = y - centre[0], x - centre[1]
    return yx * right + yy * below + centre[0], xx * right + xy * below + centre[1]


def middle(size: Size) -> tuple[float, float]:
    """Of an image, as row and column."""
    return (size[0] - 1) / 2, (size[1] - 1) / 2


def rotation(degrees: Array) -> list[list[Array]]:
    """Where the pixels of an image come from that is turned to the left about its middle."""
    cos, sin = jnp.cos(jnp.deg2rad(degrees)), jnp.sin(jnp.deg2rad(degrees))
    return [[cos, -sin], [sin, cos]]


def sheared(by_x: Array, by_y: Array) -> list[list[Array]]:
    """Where the pixels come from of an image whose rows and columns are sheared, as torchvision does."""
    return [[1 + by_x * by_y, by_x], [by_y, jnp.ones_like(by_x)]]


@AUGMENTATIONS.register
class Rotate(Warp):
    """Turned about the middle, to the left where positive. torchvision's `RandomRotation`."""

    type: Literal["rotate"] = "rotate"
    degrees: Annotated[Angles, Traced(names=("degrees_low", "degrees_high"))] = Field(
        (-15.0, 15.0), description="Angles, in degrees: one number is the range from minus to plus."
    )

    also = ("random_rotation", "random_rotate", "rotation")
    aliases = {**Warp.aliases, "degree": "degrees"}
    examples = ({"type": "rotate", "degrees": 15}, {"type": "rotate", "degrees": [0, 90], "p": 0.5, "mode": "reflect"})

    def warp(self, y: Array, x: Array, chance: Chance, n: Numbers, size: Size) -> tuple[Array, Array]:
        return by_matrix(y, x, rotation(between(chance.uniform(), n, "degrees")), middle(size))


@AUGMENTATIONS.register
class Zoom(Warp):
    """Made larger, by factors above 1, or smaller, about the middle. torchvision's `RandomAffine(0, scale=...)`;
    Keras's `RandomZoom`, whose factors are 1 / `scale` - 1.
    """

    type: Literal["scale"] = "scale"
    scale: Annotated[Scales, Traced(names=("scale_low", "scale_high"))] = Field(
        (0.9, 1.1), description="Factors of the size: a range `[low, high]`, or one number for all."
    )

    also = ("random_scale", "zoom")
    examples = ({"type": "scale", "scale": [0.8, 1.2]},)

    def warp(self, y: Array, x: Array, chance: Chance, n: Numbers, size: Size) -> tuple[Array, Array]:
        shrink = 1 / between(chance.uniform(), n, "scale")
        nothing = jnp.zeros_like(shrink)
        return by_matrix(y, x, [[shrink, nothing], [nothing, shrink]], middle(size))


@AUGMENTATIONS.register
class Shear(Warp):
    """Rows moved along themselves, more the farther they are from the middle, and columns. torchvision's
    `RandomAffine(0, shear=...)`.
    """

    type: Literal["shear"] = "shear"
    shear: Annotated[Slants, Traced(names=("shear_low", "shear_high"))] = Field(
        (-10.0, 10.0), description="Angles by which rows are sheared, in degrees: one number is minus to plus."
    )
    shear_y: Annotated[Slants, Traced(names=("shear_y_low", "shear_y_high"))] = Field(
        (0.0, 0.0), description="The same of columns."
    )

    also = ("random_shear",)
    aliases = {**Warp.aliases, "shear_x": "shear", "degrees": "shear"}
    examples = ({"type": "shear", "shear": 20}, {"type": "shear", "shear": [0, 10], "shear_y": 10})

    def warp(self, y: Array, x: Array, chance: Chance, n: Numbers, size: Size) -> tuple[Array, Array]:
        drawn = chance.uniform(2)
        by_x, by_y = (
            jnp.tan(jnp.deg2rad(between(drawn[:, i], n, name))) for i, name in enumerate(("shear", "shear_y"))
        )
        return by_matrix(y, x, sheared(by_x, by_y), middle(size))


@AUGMENTATIONS.register
class Perspective(Warp):
    """Seen from aside: each corner is moved inwards by up to half of `distortion_scale` of the sides. torchvision's
    `RandomPerspective`.
    """

    nanoseconds = 4.5
    type: Literal["perspective"] = "perspective"
    distortion_scale: Annotated[Real, Field(ge=0, lt=1), Traced()] = Field(
        0.5, description="How far corners move at most, as a share of half a side."
    )
    p: Probability = 0.5

    also = ("random_perspective",)
    aliases = {**Warp.aliases, "scale": "distortion_scale", "factor": "distortion_scale"}
    examples = ({"type": "perspective", "distortion_scale": 0.5, "p": 1},)

    def warp(self, y: Array, x: Array, chance: Chance, n: Numbers, size: Size) -> tuple[Array, Array]:
        inwards = chance.uniform(4, 2) * n["distortion_scale"] / 2  # of the four corners, along x and y
        back = inverse(square_to(corners(inwards)))
        down, right = y / max(size[0] - 1, 1), x / max(size[1] - 1, 1)
        across, below, depth = (
            at(back[:, i, 0]) * right + at(back[:, i, 1]) * down + at(back[:, i, 2]) for i in range(3)
        )
        return below / depth * (size[0] - 1), across / depth * (size[1] - 1)


def corners(inwards: Float[Array, "batch 4 2"]) -> Float[Array, "batch 4 2"]:
    """Of a unit square, as (x, y) from the upper left one to the right, moved towards its middle."""
    own = jnp.array([[0, 0], [1, 0], [1, 1], [0, 1]], jnp.float32)
    return own + inwards * (1 - 2 * own)


def square_to(quad: Float[Array, "batch 4 2"]) -> Homography:
    """The perspective that carries the corners of a unit square to those of a convex quadrilateral. Heckbert, 1989."""
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = ((quad[:, i, 0], quad[:, i, 1]) for i in range(4))
    dx1, dx2, dx3 = x1 - x2, x3 - x2, x0 - x1 + x2 - x3
    dy1, dy2, dy3 = y1 - y2, y3 - y2, y0 - y1 + y2 - y3
    area = dx1 * dy2 - dx2 * dy1
    g, h = (dx3 * dy2 - dx2 * dy3) / area, (dx1 * dy3 - dx3 * dy1) / area
    rows = [
        [x1 - x0 + g * x1, x3 - x0 + h * x3, x0],
        [y1 - y0 + g * y1, y3 - y0 + h * y3, y0],
        [g, h, jnp.ones_like(g)],
    ]
    return jnp.stack([jnp.stack(row, axis=-1) for row in rows], axis=-2)


def inverse(matrix: Homography) -> Homography:
    """Of perspectives, which are the same times any factor: the adjugate."""
    first, second, third = (matrix[:, i] for i in range(3))
    columns = [jnp.cross(second, third), jnp.cross(third, first), jnp.cross(first, second)]
    return jnp.stack(columns, axis=-1)
