"""Matrix products as XLA:CPU does them fast, and the barriers that keep their operands where they were put."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import DTypeLike

# Without barriers XLA:CPU fuses patches, pools and products into one another and computes them again for every reader.
barrier = lax.optimization_barrier

# Options for `jax.jit`. This pass would take every barrier out before fusion.
KEEP_BARRIERS = {"xla_disable_hlo_passes": "cse_barrier_expander"}
# How many modules LLVM compiles a program in. In XLA's own 32 whatever they share is read 32 times.
FEWER_PARTS = {"xla_cpu_parallel_codegen_split_count": "8"}
OPTIONS = {**KEEP_BARRIERS, **FEWER_PARTS}
# XLA's newer code generator for fusions compiles for twice as long, and its loops over images are up to a quarter
# slower. From JAX 0.11 on there is no other.
OLD_EMITTERS = {"xla_cpu_use_fusion_emitters": "False"} if jax.__version_info__ < (0, 11) else {}
# A quarter less to compile, and as fast with the older generator.
LESS_OPTIMISED = {"xla_backend_optimization_level": "1"}
OPTIONS_OF_IMAGES = {**OPTIONS, **OLD_EMITTERS, **LESS_OPTIMISED}


def row_major(x: Array) -> Array:
    """`x` in memory, in row-major order. A barrier on the matrix itself lets a transposed layout through."""
    return barrier(x.reshape(-1)).reshape(x.shape)


def rounded(x: Array, dtype: DTypeLike) -> Array:
    """`x` as `dtype`, in memory where that is another type. It has no gradient: for use within custom gradients.

    float32 to bfloat16 by its bits, to the nearest, ties to even: faster than XLA's own conversion. The NaN that
    arithmetic gives stays one.
    """
    if x.dtype != jnp.float32 or dtype != jnp.bfloat16:
        return x.astype(dtype)
    bits = lax.bitcast_convert_type(x, jnp.uint32)
    up = jnp.uint32(0x7FFF) + (bits >> 16 & jnp.uint32(1))
    return barrier(lax.bitcast_convert_type((bits + up >> 16).astype(jnp.uint16), jnp.bfloat16))


def stored(x: Array, dtype: DTypeLike) -> Array:
    """`x` in memory as `dtype`, handed on as float32: who rounds it to `dtype` changes nothing."""
    return barrier(rounded(x, dtype)).astype(jnp.float32)


def dot(a: Array, b: Array, axis_a: int, axis_b: int) -> Array:
    """Sum of products over one axis of each matrix, in float32; the axes before the last two are a batch.

    axis_a, axis_b: 0 or 1, counted within the matrices. Only bf16 x bf16 -> f32 and f32 x f32 -> f32 are fast.
    """
    leading = tuple(range(a.ndim - 2))
    contracted = (a.ndim - 2 + axis_a,), (b.ndim - 2 + axis_b,)
    return lax.dot_general(a, b, (contracted, (leading, leading)), preferred_element_type=jnp.float32)


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def matmul_rows(x: Array, kernel: Array, dtype: DTypeLike) -> Array:
    """`[batch, in] @ [in, out] -> [batch, out]`."""
    return _rows_forward(x, kernel, dtype)[0]


def _rows_forward(x: Array, kernel: Array, dtype: DTypeLike) -> tuple[Array, tuple[Array, Array]]:
    x, kernel = rounded(x, dtype), rounded(kernel, dtype)
    return dot(x, kernel, 1, 0), (x, kernel)


def _rows_backward(dtype: DTypeLike, saved: tuple[Array, Array], g: Array) -> tuple[Array, Array]:
    x, kernel = saved
    g = barrier(rounded(g, dtype))
    # A product of a transposed bf16 left side is slow: transpose it first.
    kernel_gradient = dot(x, g, 0, 0) if dtype == jnp.float32 else dot(row_major(x.T), g, 1, 0)
    return dot(g, row_major(kernel), 1, 1), kernel_gradient


matmul_rows.defvjp(_rows_forward, _rows_backward)


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def matmul_columns(x: Array, kernel: Array, dtype: DTypeLike) -> Array:
    """`[in, batch]`, `[in, out] -> [batch, out]`: from the last image to the first features."""
    return _columns_forward(x, kernel, dtype)[0]


def _columns_forward(x: Array, kernel: Array, dtype: DTypeLike) -> tuple[Array, tuple[Array, Array]]:
    if dtype != jnp.float32:
        x, kernel = barrier(x.astype(dtype)), rounded(kernel, dtype)
    # One side has to be transposed: a kernel of few outputs is the smaller one, and so is then the result.
    if kernel.shape[1] <= x.shape[1] // 2:
        # Row-major: else the next layer multiplies columns by columns, which XLA compiles in bfloat16 but cannot run.
        return row_major(barrier(dot(row_major(kernel.T), x, 1, 0)).T), (x, kernel)
    return dot(x, kernel, 0, 0) if dtype == jnp.float32 else dot(row_major(x.T), kernel, 1, 0), (x, kernel)


def _columns_backward(dtype: DTypeLike, saved: tuple[Array, Array], g: Array) -> tuple[Array, Array]:
    x, kernel = saved
    g = barrier(g.astype(dtype))
    return dot(kernel, g, 1, 1), dot(x, g, 1, 0)


matmul_columns.defvjp(_columns_forward, _columns_backward)
