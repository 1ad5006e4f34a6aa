"""Two images and their labels as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int
from pydantic import Field

from nets.augment.base import AUGMENTATIONS, Augmentation, Images, Numbers, Probability, as_floats, each_with
from nets.spec.fields import Boolean, Real
from nets.spec.traced import Traced

Alpha = Annotated[Real, Field(gt=0, le=100), Traced()]
PARTNER, CHOICE, SHARE, PLACE = 1, 2, 3, 4  # streams of random numbers of a step


class MixedImages(NamedTuple):
    """Images that are two each. share: of the own label; what is left of 1 is that of the partner's."""

    images: Images
    share: Float[Array, " batch"]


class Mix(Augmentation):
    """What mixes share. per_sample: whether each image has a share of its own, or all of a step the same."""

    p: Annotated[
        Probability,
        Field(
            description="Share of the steps in which it is done. Beside another one that mixes, one of both by their p."
        ),
    ] = 1.0
    per_sample: Boolean = Field(
        False, description="Whether each image draws a share of its own, instead of one for all images of a step."
    )
    mixes: ClassVar[bool] = True
    nanoseconds, held = 1.5, 1.0
    aliases = {"prob": "p"}

    def drawn(self, key: Array, keys: Array, n: Numbers) -> Float[Array, " batch"]:
        """Shares of the own images by Beta(alpha, alpha). keys: of each sample."""
        if not self.per_sample:
            return jnp.full(len(keys), jax.random.beta(key, n["alpha"], n["alpha"]))
        shares: Array = jax.vmap(lambda each: jax.random.beta(each, n["alpha"], n["alpha"]))(keys)
        return shares

    def mix(self, images: Images, partners: Images, key: Array, keys: Array, n: Numbers) -> MixedImages:
        """Each image with that of its partner. key: of the step; keys: of each sample."""
        raise AssertionError(f"{type(self).__name__} does nothing")


@AUGMENTATIONS.register
class Mixup(Mix):
    """A weighted mean of two images; the loss is that of both labels, weighted alike. Zhang et al., 2018."""

    type: Literal["mixup"] = "mixup"
    alpha: Alpha = Field(0.2, description="The weight is drawn from Beta(alpha, alpha).")

    also = ("mix_up",)
    examples = ({"type": "mixup", "alpha": 0.2}, {"type": "mixup", "alpha": 0.4, "per_sample": True, "p": 0.5})

    def mix(self, images: Images, partners: Images, key: Array, keys: Array, n: Numbers) -> MixedImages:
        share = self.drawn(jax.random.fold_in(key, SHARE), each_with(keys, SHARE), n)
        beside = share[:, None, None, None]
        return MixedImages(as_floats(images) * beside + as_floats(partners) * (1 - beside), share)


@AUGMENTATIONS.register
class Cutmix(Mix):
    """A box of another image in place of its own pixels; the loss is that of both labels, weighted by area. Yun et
    al., 2019.
    """

    type: Literal["cutmix"] = "cutmix"
    alpha: Alpha = Field(1.0, description="The area that stays is drawn from Beta(alpha, alpha).")

    also = ("cut_mix",)
    examples = ({"type": "cutmix", "alpha": 1.0}, {"type": "cutmix", "per_sample": True})

    def mix(self, images: Images, partners: Images, key: Array, keys: Array, n: Numbers) -> MixedImages:
        height, width = images.shape[1:3]
        stays = self.drawn(jax.random.fold_in(key, SHARE), each_with(keys, SHARE), n)
        if self.per_sample:
            centres = jax.vmap(lambda each: jax.random.uniform(each, (2,)))(each_with(keys, PLACE))
        else:
            centres = jnp.tile(jax.random.uniform(jax.random.fold_in(key, PLACE), (2,)), (len(images), 1))
        side = jnp.sqrt(1 - stays)
        rows, high = cut(centres[:, 0], side, height)
        columns, wide = cut(centres[:, 1], side, width)
        box = rows[:, :, None, None] & columns[:, None, :, None]
        return MixedImages(jnp.where(box, partners, images), 1 - (high * wide) / (height * width))


def cut(centre: Array, side: Array, size: int) -> tuple[Array, Array]:
    """Which places along an axis a box covers, and how many: as wide as a share of it, about a centre between 0 and 1.
    Part of a box may be outside.
    """
    middle, half = jnp.floor(centre * size), jnp.floor(side * size) // 2
    first, end = jnp.clip(middle - half, 0, size), jnp.clip(middle + half, 0, size)
    places = jnp.arange(size)
    return (places >= first[:, None]) & (places < end[:, None]), end - first


def partners_of(places: Int[Array, " part"], samples: Int[Array, ""], key: Array) -> Int[Array, " part"]:
    """The place in a batch of the partner of each: all of a step are as far ahead, the first after the last.

    samples: how many of the batch count. Batches come in a random order already.
    """
    ahead = jnp.floor(jax.random.uniform(jax.random.fold_in(key, PARTNER)) * (samples - 1)).astype(jnp.int32) + 1
    return (places + ahead) % jnp.maximum(samples, 1)


def mixed(
    mixes: Sequence[Mix], numbers: Sequence[Numbers], images: Images, partners: Images, key: Array, keys: Array
) -> MixedImages:
    """Images with their partners by one of the mixes, or by none: at most one of them happens in a step.

    Where the p of several sum to more than 1, each happens as often as its share of the sum.
    """
    drawn = jax.random.uniform(jax.random.fold_in(key, CHOICE))
    total = jnp.maximum(sum(n["p"] for n in numbers), 1.0)
    seen, share = images, jnp.ones(len(images), jnp.float32)
    low = jnp.float32(0)
    for number, (mix, n) in enumerate(zip(mixes, numbers, strict=True)):
        high = low + n["p"] / total
        made = mix.mix(images, partners, jax.random.fold_in(key, 16 + number), each_with(keys, 16 + number), n)
        happens = (drawn >= low) & (drawn < high)
        if made.images.dtype != seen.dtype:
            made, seen = made._replace(images=as_floats(made.images)), as_floats(seen)
        seen, share = jnp.where(happens, made.images, seen), jnp.where(happens, made.share, share)
        low = high
    return MixedImages(seen, share)
