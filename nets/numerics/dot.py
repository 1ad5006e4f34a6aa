"""Products of matrices as XLA computes them, of operands of bfloat16."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
from jax import Array, lax


def as_bfloat16(x: Array) -> Array:
    """`x` rounded, as float32. Not by two conversions, which XLA leaves out."""
    return lax.reduce_precision(x, exponent_bits=8, mantissa_bits=7)


@jax.custom_vjp
def matmul_bfloat16(x: Array, kernel: Array) -> Array:
    """`[B, in] @ [in, out]` of operands rounded to bfloat16, summed in float32, in both directions."""
    return _matmul_forward(x, kernel)[0]


def _matmul_forward(x: Array, kernel: Array) -> tuple[Array, tuple[Array, Array]]:
    narrow = x.astype(jnp.bfloat16), kernel.astype(jnp.bfloat16)
    return _dot(*narrow, 1, 0), narrow


def _matmul_backward(narrow: tuple[Array, Array], g: Array) -> tuple[Array, Array]:
    x, kernel = narrow
    g = g.astype(jnp.bfloat16)
    return _dot(g, kernel, 1, 1), _dot(x, g, 0, 0)


matmul_bfloat16.defvjp(_matmul_forward, _matmul_backward)


def _dot(a: Array, b: Array, axis_of_a: int, axis_of_b: int) -> Array:
    return lax.dot_general(a, b, (((axis_of_a,), (axis_of_b,)), ((), ())), preferred_element_type=jnp.float32)


def product(a: Array, b: Array, axis_a: int, axis_b: int, precision: lax.Precision = lax.Precision.DEFAULT) -> Array:
    """The sum of products over one axis of each matrix, 0 or 1, in float32; the axes before these two are a batch."""
    leading = tuple(range(a.ndim - 2))
    contracted = (a.ndim - 2 + axis_a,), (b.ndim - 2 + axis_b,)
    dimensions = (contracted, (leading, leading))
    return lax.dot_general(a, b, dimensions, precision=precision, preferred_element_type=jnp.float32)


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def product_bfloat16(a: Array, b: Array, axis_a: int, axis_b: int) -> Array:
    """`product` of operands rounded to bfloat16, summed in float32, in both directions."""
    return _product_forward(a, b, axis_a, axis_b)[0]


def _product_forward(a: Array, b: Array, axis_a: int, axis_b: int) -> tuple[Array, tuple[Array, Array]]:
    narrow = a.astype(jnp.bfloat16), b.astype(jnp.bfloat16)
    return product(*narrow, axis_a, axis_b), narrow


def _product_backward(axis_a: int, axis_b: int, narrow: tuple[Array, Array], g: Array) -> tuple[Array, Array]:
    a, b = narrow
    g = g.astype(jnp.bfloat16)
    free_a, free_b = 1 - axis_a, 1 - axis_b
    of_a = product(g, b, 1, free_b) if axis_a else product(b, g, free_b, 1)
    of_b = product(g, a, 0, free_a) if axis_b else product(a, g, free_a, 0)
    return of_a, of_b


product_bfloat16.defvjp(_product_forward, _product_backward)
