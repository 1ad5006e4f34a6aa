"""The means of the classes, by which a network is read that ends in places of samples among each other."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from nets.losses import Loss
from nets.losses.embedding import OfEmbeddings, product

FAR = 1e15  # in every direction: the mean of a class without a sample, which nothing is near to


class Places(NamedTuple):
    """The sums of the places of each class, and how many there are."""

    sums: Float[Array, "classes width"]
    counts: Float[Array, " classes"]


def shapes_of(classes: int, width: int) -> Places:
    """Those of a run, as shapes."""
    of = ((classes, width), (classes,))
    return Places(*(jax.ShapeDtypeStruct(shape, jnp.float32) for shape in of))  # type: ignore[arg-type]


def nothing(classes: int, width: int) -> Places:
    """Before the first sample."""
    return jax.tree.map(lambda leaf: jax.device_put(np.zeros(leaf.shape, leaf.dtype)), shapes_of(classes, width))


def added(held: Places, places: Float[Array, "batch width"], labels: Array, real: Array) -> Places:
    """With more samples, of which those count that are real."""
    of_class = (real & (labels == jnp.arange(len(held.counts))[:, None])).astype(jnp.float32)
    return Places(held.sums + product(of_class, places.T), held.counts + of_class.sum(-1))


def read_by(held: Places, loss: Loss) -> dict[str, np.ndarray]:
    """What `nets.losses.embedding.nearness` takes."""
    assert isinstance(loss, OfEmbeddings), loss.type
    sums, counts = jax.device_get(held)
    means = np.where(counts[:, None] > 0, sums / np.maximum(counts[:, None], 1), np.float32(FAR))
    numbers = {"sharpness": loss.sharpness, "unit": float(loss.unit)}
    return {"means": means, **{name: np.array([number], np.float32) for name, number in numbers.items()}}


def read_by_shapes(classes: int, width: int) -> dict[str, jax.ShapeDtypeStruct]:
    """The same as shapes."""
    of = {"means": (classes, width), "sharpness": (1,), "unit": (1,)}
    return {name: jax.ShapeDtypeStruct(shape, jnp.float32) for name, shape in of.items()}
