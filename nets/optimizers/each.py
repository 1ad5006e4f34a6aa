"""Optimizers that are a rule for each array: what is added to it in a step, and what is kept of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

Tree = Any
Arrays = Mapping[str, Array]
# (number of the step from 1, gradient, array, what is kept of it) -> what is added to it, and what is kept then
Rule = Callable[[Float[Array, ""], Array, Array, Arrays], tuple[Array, Arrays]]


class Kept(NamedTuple):
    """steps: how many there were. arrays: trees like the parameters, by name."""

    steps: Int[Array, ""]
    arrays: dict[str, Tree]


def each(rule: Rule, *names: str) -> optax.GradientTransformation:
    """A rule applied to every array. names: of what is kept of each, zeros at first."""

    def init(params: Tree) -> Kept:
        return Kept(jnp.zeros([], jnp.int32), {name: jax.tree.map(jnp.zeros_like, params) for name in names})

    def update(gradients: Tree, state: Kept, params: Tree) -> tuple[Tree, Kept]:
        steps, form = state.steps + 1, jax.tree.structure(gradients)
        kept = [jax.tree.leaves(state.arrays[name]) for name in names]
        found = [
            rule(steps.astype(jnp.float32), gradient, array, dict(zip(names, own, strict=True)))
            for gradient, array, *own in zip(jax.tree.leaves(gradients), jax.tree.leaves(params), *kept, strict=True)
        ]
        after = {name: jax.tree.unflatten(form, [now[name] for _, now in found]) for name in names}
        return jax.tree.unflatten(form, [made for made, _ in found]), Kept(steps, after)

    return optax.GradientTransformation(init, update)


def mean(b: Array, old: Array, new: Array) -> Array:
    """A moving mean that keeps `b` of the old value."""
    return b * old + (1 - b) * new


def corrected(b: Array, t: Array) -> Array:
    """1 - b^t, the weight of the samples in a moving mean that began at 0, without the digits that it cancels."""
    return -jnp.expm1(t * jnp.log(b))
