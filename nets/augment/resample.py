"""Images looked up at other places: by whole pixels, or between them by bilinear interpolation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import jax.numpy as jnp
from jaxtyping import Array

from nets.augment.base import Chance, Geometric, Images, Numbers, as_floats, as_values

Border = Literal["constant", "edge", "reflect", "symmetric", "wrap"]


def resampled(images: Images, run: Sequence[tuple[Geometric, Chance, Numbers]]) -> Images:
    """Images as a run of augmentations leaves them, looked up once.

    Each pixel's place is traced back from the last one to the first. A place outside of an image is found inside again
    by the border of the augmentation that led there, or counts as its fill as far as it is outside.
    """
    size = height, width = images.shape[1], images.shape[2]
    whole = all(each.whole for each, _, _ in run)
    kind = jnp.int32 if whole else jnp.float32
    y, x = jnp.arange(height, dtype=kind)[None, :, None], jnp.arange(width, dtype=kind)[None, None, :]
    kept: Array | None = None  # share of a pixel's value that comes from the image
    filled: Array = jnp.float32(0)  # what the fills so far add to it
    for augmentation, chance, n in reversed(run):
        y, x = augmentation.source(y, x, chance, n, size)
        if augmentation.border == "constant":
            inside = share_inside(y, height) * share_inside(x, width)
            before = jnp.float32(1) if kept is None else kept
            filled, kept = filled + before * (1 - inside) * n["fill"], before * inside
        y, x = brought_in(augmentation.border, y, height), brought_in(augmentation.border, x, width)
    found = pixels(images, y, x) if whole else interpolated(images, y, x)
    if whole and kept is not None:  # either inside or outside: bytes stay bytes
        return jnp.where(kept[..., None] > 0, found, as_values(filled, images)[..., None])
    return found if kept is None else jnp.clip(found * kept[..., None] + filled[..., None], 0, 1)


def share_inside(place: Array, size: int) -> Array:
    """How much of what is read at a place between two pixels is read of pixels of the image: 0 to 1, along an axis."""
    return jnp.clip(jnp.minimum(place + 1, size - place), 0, 1).astype(jnp.float32)


def brought_in(border: str, place: Array, size: int) -> Array:
    """A place along an axis, in the image."""
    last = size - 1
    if border in ("constant", "edge") or size == 1:
        return jnp.clip(place, 0, last)
    if border == "wrap":
        return place % size
    if border == "reflect":
        return last - jnp.abs(place % (2 * last) - last)
    beyond = jnp.minimum(place % (2 * size), 2 * size - 1 - place % (2 * size))  # symmetric: the edge comes twice
    return jnp.clip(beyond, 0, last)


def pixels(images: Images, y: Array, x: Array) -> Images:
    """The pixels at whole places, which are in the image."""
    batch = jnp.arange(len(images), dtype=jnp.int32)[:, None, None]
    found: Array = images.at[batch, y, x].get(mode="promise_in_bounds")
    return found


def interpolated(images: Images, y: Array, x: Array) -> Images:
    """Values between pixels, as floats. A place between the last pixel and the first, as `wrap` has them, is read of
    the last.
    """
    height, width = images.shape[1], images.shape[2]
    top, left = jnp.floor(y), jnp.floor(x)
    down, right = (y - top)[..., None], (x - left)[..., None]
    rows = [jnp.clip(each.astype(jnp.int32), 0, height - 1) for each in (top, top + 1)]
    columns = [jnp.clip(each.astype(jnp.int32), 0, width - 1) for each in (left, left + 1)]
    above, below = (
        as_floats(pixels(images, row, columns[0])) * (1 - right) + as_floats(pixels(images, row, columns[1])) * right
        for row in rows
    )
    return above * (1 - down) + below * down
