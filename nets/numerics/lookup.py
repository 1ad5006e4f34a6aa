"""Rows of a table by their numbers, with a gradient that adds in one order on every device.

The gradient of a lookup is a scatter: rows that are asked for more than once are added, by a GPU in the order in which
its threads come. There it is a product with ones and zeros, or sums along the sorted numbers.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
from jax import Array, lax

# Rows of a table up to which the gradient is a product, beside CPUs: ones and zeros for each number and row.
PRODUCT_MOST_ROWS = 1024


@partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def lookup(
    table: Array, numbers: Array, rows: int, platform: str, precision: lax.Precision = lax.Precision.DEFAULT
) -> Array:
    """`[rows, width]`, integers `[...]` from 0 to below `rows` -> `[..., width]`."""
    return _forward(table, numbers, rows, platform, precision)[0]


def _forward(table: Array, numbers: Array, rows: int, platform: str, precision: lax.Precision) -> tuple[Array, Array]:
    return jnp.take(table, numbers, axis=0, mode="clip"), numbers


def _backward(rows: int, platform: str, precision: lax.Precision, numbers: Array, g: Array) -> tuple[Array, None]:
    asked, wide = numbers.reshape(-1), g.reshape(-1, g.shape[-1])
    if platform == "cpu":
        return by_scatter(asked, wide, rows), None
    if rows <= PRODUCT_MOST_ROWS:
        return by_product(asked, wide, rows, precision), None
    return by_sorting(asked, wide, rows), None


lookup.defvjp(_forward, _backward)


def by_scatter(numbers: Array, g: Array, rows: int) -> Array:
    """The sum of the rows of `g` that have one number, one after the other: what XLA compiles for CPUs is a loop."""
    return jnp.zeros((rows, g.shape[1]), g.dtype).at[numbers].add(g, mode="clip")


def by_product(numbers: Array, g: Array, rows: int, precision: lax.Precision) -> Array:
    """The same as a product of matrices: `[n]`, `[n, width]`."""
    chosen = jax.nn.one_hot(numbers, rows, dtype=g.dtype)
    return lax.dot_general(chosen, g, (((0,), (0,)), ((), ())), precision=precision, preferred_element_type=jnp.float32)


def by_sorting(numbers: Array, g: Array, rows: int) -> Array:
    """The same in memory that does not grow with the table: sums along the sorted numbers, of 2, 4, 8 ... neighbours.

    Hillis & Steele, 1986.
    """
    order = jnp.argsort(numbers, stable=True)
    found, sums = numbers[order], g[order]
    reach = 1
    while reach < len(found):
        same = found[reach:] == found[:-reach]
        before = jnp.where(same[:, None], sums[:-reach], 0)
        sums = sums + jnp.pad(before, ((reach, 0), (0, 0)))
        reach *= 2
    every = jnp.arange(rows, dtype=found.dtype)
    last = jnp.searchsorted(found, every, side="right") - 1
    there = (last >= 0) & (found[last] == every)
    return jnp.where(there[:, None], sums[last], 0)
