"""What augmentations make of samples, as training sees them."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from nets.augment import Augmentation
from nets.network import seed_key
from nets.training.seen import AUGMENT, augmented_part
from nets.training.update import scalars


def preview(augment: Sequence[Augmentation], images: np.ndarray, *, seed: int, times: int) -> list[np.ndarray]:
    """The images, `[batch, height, width, channels]` of bytes, as the first step of so many epochs sees them that
    train on them as one batch; on the CPU, as bytes.
    """
    structure = tuple(each.structure() for each in augment)
    numbers = {str(number): scalars(each.numbers()) for number, each in enumerate(augment)}
    places = np.arange(len(images), dtype=np.int32)[None]

    def seen(images: jax.Array, numbers: dict[str, dict[str, jax.Array]], step: jax.Array, key: jax.Array) -> jax.Array:
        made = augmented_part(structure, images, jnp.asarray(places), 0, len(images), step, step, numbers, key)
        values: jax.Array = made.images
        return values if values.dtype == jnp.uint8 else jnp.round(jnp.clip(values, 0, 1) * 255).astype(jnp.uint8)

    with jax.default_device(jax.devices("cpu")[0]):
        program, key = jax.jit(seen), jax.random.fold_in(seed_key(seed), AUGMENT)
        given = jnp.asarray(images)
        return [np.asarray(program(given, numbers, jnp.int32(time), key)) for time in range(times)]
