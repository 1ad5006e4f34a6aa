"""A running average of a tree of arrays, and how much of it each new tree makes up."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

Tree = Any


class RunningAverage(NamedTuple):
    """seen: how many trees it is of; before the first of them the values are zeros."""

    seen: Int[Array, ""]
    values: Tree


def nothing(tree: Tree) -> RunningAverage:
    """The average of no trees like this one."""
    return RunningAverage(jnp.int32(0), jax.tree.map(jnp.zeros_like, tree))


def moved(average: RunningAverage, tree: Tree, share: Float[Array, ""]) -> Tree:
    """The values moved by a share of the way to a tree: all of it from zeros gives the tree to the last digit."""
    return jax.tree.map(lambda mean, new: mean + share * (new - mean), average.values, tree)
