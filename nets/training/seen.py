"""What training sees of samples: themselves, or what the augmentations of a run make of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

from nets.augment import Augmentation, mixing
from nets.augment.base import Numbers
from nets.augment.mixing import Mix, partners_of
from nets.augment.pipeline import MIXING, Moment, augmented
from nets.training.objective import Mixed, Objective
from nets.training.state import Data, RunNumbers

AUGMENT = 0x61756765  # the stream of random numbers of augmentations, beside that of dropout


class Seen(NamedTuple):
    """A part of a batch as the network gets it. counts: which rows are samples; others fill the part up.

    mixed: of samples that are made of two.
    """

    inputs: Array
    labels: Int[Array, " part"]
    counts: Bool[Array, " part"]
    mixed: Mixed | None = None

    @property
    def main(self) -> Int[Array, " part"]:
        """The label with the larger share."""
        return self.labels if self.mixed is None else jnp.where(self.mixed.share >= 0.5, self.labels, self.mixed.labels)


def part_of(
    objective: Objective,
    data: Data,
    parts: Int[Array, "parts part"],
    part: int | Array,
    samples: Int[Array, ""],
    step: Int[Array, ""],
    numbers: RunNumbers,
    *,
    size: int | None = None,
) -> Seen:
    """One part of the batch that `parts` are, of which so many samples count. step: how many came before.

    size: of a part that is shorter than the others.
    """
    rows = parts[part][:size]
    plain = Seen(data.inputs[rows], data.labels[rows], rows >= 0)
    if not objective.augment:
        return plain
    epoch = step // numbers.objective["steps_per_epoch"].astype(jnp.int32)
    key = jax.random.fold_in(numbers.key, AUGMENT)
    made = augmented_part(
        *(objective.augment, data.inputs, parts, part, samples, step, epoch, numbers.objective["augment"], key),
        size=size,
    )
    if made.partners is None or made.share is None:
        return plain._replace(inputs=made.images)
    return plain._replace(inputs=made.images, mixed=Mixed(data.labels[made.partners], made.share))


class Made(NamedTuple):
    """Augmented images. partners: which samples they were mixed with, where they were; share: of the own label."""

    images: Array
    partners: Int[Array, " part"] | None = None
    share: Array | None = None


def augmented_part(
    augment: tuple[Augmentation, ...],
    inputs: Array,
    parts: Int[Array, "parts part"],
    part: int | Array,
    samples: int | Array,
    step: Int[Array, ""],
    epoch: Int[Array, ""],
    numbers: Mapping[str, Numbers],
    key: Array,
    *,
    size: int | None = None,
) -> Made:
    """The images of one part of a batch, which are rows of `inputs`. key: of the augmentations of a run."""
    own_rows = parts[part][:size]
    moment, own = Moment(key, step, epoch), [numbers[str(number)] for number in range(len(augment))]
    places = part * parts.shape[1] + jnp.arange(len(own_rows), dtype=jnp.int32)
    images = augmented(augment, inputs[own_rows], moment, places, own_rows, own)
    mixes = [(each, n) for each, n in zip(augment, own, strict=True) if isinstance(each, Mix)]
    if not mixes:
        return Made(images)
    mixing_key = jax.random.fold_in(moment.now, MIXING)
    there = partners_of(places, jnp.asarray(samples), mixing_key)
    rows = parts.reshape(-1)[there]
    # Where a batch is in parts, partners may be in other ones.
    others = images[there] if len(parts) == 1 else augmented(augment, inputs[rows], moment, there, rows, own)
    of_mixes = [n for _, n in mixes]
    made = mixing.mixed([each for each, _ in mixes], of_mixes, images, others, mixing_key, moment.keys(places))
    return Made(made.images, rows, made.share)
