"""Attention of a sequence to itself, one head after the other, each cut out of the projections where it lies.

Nothing is transposed: XLA moves a value at a time where heads become an axis of their own, which takes longer than the
products. What is kept for the gradient are the exponentials, which are divided by their sums behind the product.
"""

from __future__ import annotations

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from nets.kernels.cpu.gemm import barrier, dot

Kept = tuple[Array, Array, Array, Array, Array, Array]
LOWEST = float(np.finfo(np.float32).min)


@partial(jax.custom_vjp, nondiff_argnums=(1, 2))
def attend(y: Array, heads: int, causal: bool) -> Array:
    """`[batch, length, 3 * heads * width]`, queries, keys and values beside each other -> `[..., heads * width]`."""
    return _forward(y, heads, causal)[0]


def _forward(y: Array, heads: int, causal: bool) -> tuple[Array, list[Kept]]:
    y, kept = barrier(y), []
    for head in range(heads):
        query, key, value = (cut(y, head + side * heads, 3 * heads) for side in range(3))
        query = barrier(query * (1 / math.sqrt(query.shape[-1])))
        scores = barrier(dot(query, key, 1, 1))
        if causal:
            scores = jnp.where(jnp.tri(scores.shape[1], scores.shape[2], dtype=bool), scores, LOWEST)
        powers = barrier(jnp.exp(scores - scores.max(-1, keepdims=True)))
        share = 1 / powers.sum(-1, keepdims=True)
        kept.append((query, key, value, powers, share, barrier(dot(powers, value, 1, 0) * share)))
    return barrier(jnp.concatenate([each[-1] for each in kept], -1)), kept


def _backward(heads: int, causal: bool, kept: list[Kept], g: Array) -> tuple[Array]:
    g = barrier(g)
    sides: list[list[Array]] = [[], [], []]
    for head, (query, key, value, powers, share, given) in enumerate(kept):
        of_given = cut(g, head, heads)
        shared = barrier(of_given * share)
        mean = (of_given * given).sum(-1, keepdims=True) * share
        of_scores = barrier(powers * (dot(shared, value, 1, 1) - mean))
        sides[0].append(dot(of_scores, key, 1, 0) * (1 / math.sqrt(query.shape[-1])))
        sides[1].append(dot(of_scores, query, 0, 0))
        sides[2].append(dot(powers, shared, 0, 0))
    return (barrier(jnp.concatenate([*sides[0], *sides[1], *sides[2]], -1)),)


attend.defvjp(_forward, _backward)


def cut(x: Array, place: int, parts: int) -> Array:
    """One of several equal parts of the last axis, in memory."""
    width = x.shape[-1] // parts
    return barrier(x[..., place * width : (place + 1) * width])
