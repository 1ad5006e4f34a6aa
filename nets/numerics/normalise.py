"""What every plan computes alike, whatever its layout: the scale of images, dropout's mask, normalisation."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import Array

SMALLEST = 1e-30


@dataclass(frozen=True)
class Moments:
    """Statistics of one batch per channel: mean, biased variance (both `[channels]`), and how many values each saw."""

    mean: jax.Array
    var: jax.Array
    count: int


def keep_mask(key: Array, rate: Array, shape: tuple[int, ...]) -> Array:
    """0 with probability `rate`, otherwise 1 / (1 - rate): multiply by it. A rate of 1 keeps nothing."""
    keep = 1.0 - jnp.asarray(rate, jnp.float32)
    scale = 1.0 / jnp.maximum(keep, SMALLEST)
    return jnp.where(jax.random.bernoulli(key, keep, shape), scale, 0.0)


def standardised(x: Array, axes: tuple[int, ...], eps: float) -> tuple[Array, Array, Array]:
    """`x` with mean 0 and deviation 1 over some axes, and the mean and biased variance that it had, with those axes.

    The variance is taken around the mean in a second pass: exact where the mean is large against the spread.
    """
    mean = jnp.mean(x, axes, keepdims=True)
    centered = x - mean
    var = jnp.mean(jnp.square(centered), axes, keepdims=True)
    return centered * jax.lax.rsqrt(var + eps), mean, var


def normalised(
    x: Array,
    scale: Array,
    bias: Array,
    *,
    axis: int,
    eps: float,
    running: tuple[Array, Array] | None,
    counted: Array | None = None,
) -> tuple[Array, Moments | None]:
    """Batch normalisation over every axis but `axis`. Ioffe & Szegedy, 2015.

    counted: which samples the moments are of, with as many axes as `x`; None for all. The variance is taken around the
    mean in a second pass: exact where the mean is large against the spread.
    """
    others = tuple(i for i in range(x.ndim) if i != axis)
    if running is None:
        mean = jnp.mean(x, others, where=counted)
        var = jnp.mean(jnp.square(x - jnp.expand_dims(mean, others)), others, where=counted)
        moments = Moments(mean, var, x.size // x.shape[axis])
    else:
        mean, var = running
        moments = None
    factor = jnp.expand_dims(scale * jax.lax.rsqrt(var + eps), others)
    return (x - jnp.expand_dims(mean, others)) * factor + jnp.expand_dims(bias, others), moments
