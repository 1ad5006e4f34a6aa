"""Several views of each image, whose logits are averaged: test-time augmentation."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Shaped

from nets.spec.registry import Names

Images = Shaped[Array, "batch height width channels"]
Logits = Float[Array, "batch classes"]


class View(NamedTuple):
    """One of them. weight: its share in the average. down, right: by how many pixels the image is moved, its edge
    pixels mirrored."""

    weight: float
    mirrored: bool
    down: int = 0
    right: int = 0

    def of(self, images: Images) -> Images:
        if self.down or self.right:
            beyond = max(abs(self.down), abs(self.right))
            wide = jnp.pad(images, ((0, 0), (beyond, beyond), (beyond, beyond), (0, 0)), mode="reflect")
            top, left = beyond - self.down, beyond - self.right
            images = wide[:, top : top + images.shape[1], left : left + images.shape[2]]
        return images[:, :, ::-1] if self.mirrored else images


def mirrored(*views: View) -> tuple[View, ...]:
    """Each as it is and mirrored, at half its weight."""
    return tuple(view._replace(weight=view.weight / 2, mirrored=m) for view in views for m in (False, True))


VIEWS: Names[tuple[View, ...]] = Names("test-time augmentation")
VIEWS.add("flip", mirrored(View(1, False)))
# As in airbench94 of Jordan, 2024.
VIEWS.add("flip_translate", mirrored(View(0.5, False), View(0.25, False, 1, 1), View(0.25, False, -1, -1)))


def averaged(logits_of: Callable[[Images], Logits], images: Images, name: str | None) -> Logits:
    """The logits of images, or with a name the average of those of its views, which go through one after the other."""
    if name is None:
        return logits_of(images)
    views = VIEWS[name]
    each = jax.lax.map(logits_of, jnp.stack([view.of(images) for view in views]))
    return jnp.tensordot(jnp.array([view.weight for view in views], jnp.float32), each, 1)


def times(name: str | None) -> int:
    """How many views of each image go through."""
    return len(VIEWS[name]) if name else 1
