"""What training sees of samples: themselves, or what the augmentations of a run make of them."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

from nets.augment import mixing
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
) -> Seen:
    """One part of the batch that `parts` are, of which so many samples count. step: how many came before."""
    rows = parts[part]
    plain = Seen(data.inputs[rows], data.labels[rows], rows >= 0)
    if not objective.augment:
        return plain
    epoch = step // numbers.objective["steps_per_epoch"].astype(jnp.int32)
    moment = Moment(jax.random.fold_in(numbers.key, AUGMENT), step, epoch)
    own = [numbers.objective["augment"][str(number)] for number in range(len(objective.augment))]
    places = part * parts.shape[1] + jnp.arange(parts.shape[1], dtype=jnp.int32)
    inputs = augmented(objective.augment, plain.inputs, moment, places, rows, own)
    mixes = [(each, n) for each, n in zip(objective.augment, own, strict=True) if isinstance(each, Mix)]
    if not mixes:
        return plain._replace(inputs=inputs)
    key = jax.random.fold_in(moment.now, MIXING)
    there = partners_of(places, samples, key)
    of_partners = parts.reshape(-1)[there]
    if len(parts) == 1:
        partners = inputs[there]
    else:  # some of them are in other parts
        partners = augmented(objective.augment, data.inputs[of_partners], moment, there, of_partners, own)
    made = mixing.mixed([each for each, _ in mixes], [n for _, n in mixes], inputs, partners, key, moment.keys(places))
    return plain._replace(inputs=made.images, mixed=Mixed(data.labels[of_partners], made.share))
