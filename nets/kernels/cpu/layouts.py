"""The forms in which activations pass from one layer to the next, and the ways between them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import Array, lax

from nets.kernels.cpu.gemm import row_major
from nets.numerics.normalise import scaled_images
from nets.numerics.windows import Pair


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Pixels:
    """Images as they came: `[batch, height, width, channels]`, uint8 or float32. Nothing before them has a gradient."""

    array: Array


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Image:
    """`[channels, height, width, batch]`."""

    array: Array


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Phases:
    """An image of even size by even and odd rows and columns: `phases[2 * i + j] = image[:, i::2, j::2]`."""

    phases: tuple[Array, ...]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Columns:
    """Features as `[features, batch]`: an image of this plan, flattened in C, H, W order, without moving a value."""

    array: Array


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Rows:
    """Features as `[batch, features]`."""

    array: Array


Activation = Pixels | Image | Phases | Columns | Rows


def shape_of(x: Activation) -> tuple[int, int, int, int]:
    """`(channels, height, width, batch)` of an image in any form."""
    if isinstance(x, Phases):
        channels, height, width, batch = x.phases[0].shape
        return channels, 2 * height, 2 * width, batch
    if isinstance(x, Pixels):
        batch, height, width, channels = x.array.shape
        return channels, height, width, batch
    channels, height, width, batch = x.array.shape
    return channels, height, width, batch


def image(x: Activation) -> Array:
    """`[channels, height, width, batch]`."""
    match x:
        case Image(array):
            return array
        case Phases(phases):
            return join(phases)
        case Pixels(array):
            return _scaled(array.transpose(3, 1, 2, 0), channels=array.shape[3])
    raise AssertionError(f"{type(x).__name__} is no image")


def _scaled(moved: Array, *, channels: int) -> Array:
    """Pixels in another order, scaled."""
    # With several channels every value is far from its new neighbour: moved once, as bytes, rather than by every gather
    # of windows. A single channel is left to whoever reads it.
    return scaled_images(moved if channels == 1 else row_major(moved))


def phases(x: Activation) -> tuple[Array, ...]:
    """The four phases of an image of even size, each `[channels, height / 2, width / 2, batch]`."""
    return x.phases if isinstance(x, Phases) else split(image(x))


def rows(x: Activation) -> Array:
    """`[batch, features]`."""
    match x:
        case Rows(array):
            return array
        case Pixels(array):
            return _scaled(array.transpose(0, 3, 1, 2).reshape(array.shape[0], -1), channels=array.shape[3])
        case Columns(array):
            return array.T
    return columns(x).T


def columns(x: Activation) -> Array:
    """`[features, batch]`."""
    match x:
        case Columns(array):
            return array
        case Rows(array):
            return array.T
    array = image(x)
    return array.reshape(-1, array.shape[-1])


def zero_pad(x: Array, rows: Pair, columns: Pair) -> Array:
    """`[channels, height, width, batch]` with zeros around: so many (before, behind); negative numbers cut."""
    return lax.pad(x, jnp.zeros((), x.dtype), ((0, 0, 0), (*rows, 0), (*columns, 0), (0, 0, 0)))


def split(x: Array) -> tuple[Array, ...]:
    return tuple(x[:, i::2, j::2] for i in (0, 1) for j in (0, 1))


def join(four: tuple[Array, ...]) -> Array:
    channels, height, width, batch = four[0].shape
    grid = jnp.stack(four).reshape(2, 2, channels, height, width, batch)
    return grid.transpose(2, 3, 0, 4, 1, 5).reshape(channels, 2 * height, 2 * width, batch)


def mapped(function: Callable[[Array], Array], x: Activation) -> Activation:
    """`function` of every value, in whichever form they lie."""
    if isinstance(x, Pixels):
        x = Image(image(x))
    return jax.tree.map(function, x)
