"""All augmentations of a run on a part of a batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from nets.augment.base import Augmentation, Chance, Geometric, Images, Numbers, OfPixels, as_floats, each_with, for_each
from nets.augment.mixing import Mix
from nets.augment.resample import resampled

ALWAYS, MIXING = 0x616C7761, 0x6D697865  # streams of random numbers that must not meet


class Moment(NamedTuple):
    """When images are augmented. key: of the run. step, epoch: how many came before."""

    key: Array
    step: Int[Array, ""]
    epoch: Int[Array, ""]

    @property
    def now(self) -> Array:
        """The key of the step."""
        return jax.random.fold_in(self.key, self.step)

    def keys(self, places: Int[Array, " part"]) -> Array:
        """Those of the samples at these places of the batch."""
        made: Array = jax.vmap(jax.random.fold_in, (None, 0))(self.now, places)
        return made


def augmented(
    augment: Sequence[Augmentation],
    images: Images,
    moment: Moment,
    places: Int[Array, " part"],
    samples: Int[Array, " part"],
    numbers: Sequence[Numbers],
) -> Images:
    """Images as all augmentations but those that mix leave them, in the order of the list.

    places: of the images in the whole batch, of which a part may be computed at a time. samples: which ones they are.
    What becomes of an image depends on the step, on its place and on itself, and on nothing else in the batch.
    """
    keys = moment.keys(places)
    for run in runs(augment):
        chances = [
            Chance(
                each_with(keys, number),
                samples,
                moment.epoch,
                jax.random.fold_in(jax.random.fold_in(moment.key, ALWAYS), number),
            )
            for number, _ in run
        ]
        geometric = [
            (each, chance, numbers[number])
            for (number, each), chance in zip(run, chances, strict=True)
            if isinstance(each, Geometric)
        ]
        if geometric:
            images = resampled(images, geometric)
            continue
        for (number, each), chance in zip(run, chances, strict=True):
            assert isinstance(each, OfPixels)
            images = changed(each, images, chance, numbers[number])
    return images


def runs(augment: Sequence[Augmentation]) -> Iterator[list[tuple[int, Augmentation]]]:
    """Those that do not mix, with their numbers in the list, neighbours that say where pixels come from together."""
    numbered = [(number, each) for number, each in enumerate(augment) if not isinstance(each, Mix)]
    for _, group in groupby(numbered, key=lambda one: isinstance(one[1], Geometric)):
        yield list(group)


def changed(augmentation: OfPixels, images: Images, chance: Chance, n: Numbers) -> Images:
    """Images with the values of some changed."""
    before = images if augmentation.bytes_do else as_floats(images)
    after = augmentation.apply(before, chance, n)
    return jnp.where(for_each(chance.happens(n["p"])), after, before) if "p" in n else after
