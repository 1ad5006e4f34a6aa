"""Products of matrices as XLA computes them, of operands of bfloat16."""

from __future__ import annotations

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
