"""Convolutions of `[batch, height, width, channels]` as XLA computes them, in float32 or of operands of bfloat16."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import DTypeLike

from nets.numerics.windows import Geometry, Pair, Sizes


def convolve(
    x: Array,
    kernel: Array,
    at: Geometry,
    precision: lax.Precision = lax.Precision.DEFAULT,
    result: DTypeLike = jnp.float32,
) -> Array:
    """`[B, H, W, in] * [kh, kw, in / groups, out] -> [B, H', W', out]`, summed in float32, given as `result`."""
    return lax.conv_general_dilated(
        x,
        kernel,
        at.stride,
        at.padding,
        rhs_dilation=at.dilation,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=at.groups,
        precision=precision,
        preferred_element_type=result,
    )


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def convolve_bfloat16(x: Array, kernel: Array, at: Geometry, result: DTypeLike = jnp.float32) -> Array:
    """`convolve` of operands rounded to bfloat16, in both directions: autodiff would widen the gradient's operands.

    Sums are float32. `result`: what they are given as, before they are widened to float32 again.
    """
    return _convolve_forward(x, kernel, at, result)[0]


def _convolve_forward(x: Array, kernel: Array, at: Geometry, result: DTypeLike) -> tuple[Array, tuple[Array, Array]]:
    narrow = x.astype(jnp.bfloat16), kernel.astype(jnp.bfloat16)
    return convolve(*narrow, at, result=result).astype(jnp.float32), narrow


def _convolve_backward(at: Geometry, result: DTypeLike, narrow: tuple[Array, Array], g: Array) -> tuple[Array, Array]:
    x, kernel = narrow
    g = g.astype(jnp.bfloat16)
    of_input = _gradient_of_input(x.shape, kernel, g, at, result)
    of_kernel = _gradient_of_kernel(x, kernel.shape, g, at, result)
    return of_input.astype(jnp.float32), of_kernel.astype(jnp.float32)


convolve_bfloat16.defvjp(_convolve_forward, _convolve_backward)


def _gradient_of_input(
    shape: Sizes,
    kernel: Array,
    g: Array,
    at: Geometry,
    result: DTypeLike,
    precision: lax.Precision = lax.Precision.DEFAULT,
) -> Array:
    """The gradient is a convolution of `g`, spread out by the stride, with the kernel turned round."""
    kh, kw, inputs, outputs = kernel.shape
    grouped = kernel[::-1, ::-1].reshape(kh, kw, inputs, at.groups, outputs // at.groups)
    turned = grouped.transpose(0, 1, 4, 3, 2).reshape(kh, kw, outputs // at.groups, at.groups * inputs)
    edges = []
    for axis, taps in enumerate((kh, kw)):
        low = at.dilation[axis] * (taps - 1) - at.padding[axis][0]
        spread = (g.shape[1 + axis] - 1) * at.stride[axis] + 1
        edges.append((low, shape[1 + axis] + at.dilation[axis] * (taps - 1) - spread - low))
    y: Array = lax.conv_general_dilated(
        g,
        turned,
        (1, 1),
        [(max(low, 0), max(high, 0)) for low, high in edges],
        lhs_dilation=at.stride,
        rhs_dilation=at.dilation,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=at.groups,
        precision=precision,
        preferred_element_type=result,
    )
    # Cut, not by padding below zero: XLA's convolution (JAX 0.10, CPU) reads past its operands there.
    rows, columns = (slice(max(-low, 0), y.shape[1 + axis] - max(-high, 0)) for axis, (low, high) in enumerate(edges))
    return y[:, rows, columns]


def _gradient_of_kernel(
    x: Array,
    shape: tuple[int, ...],
    g: Array,
    at: Geometry,
    result: DTypeLike,
    precision: lax.Precision = lax.Precision.DEFAULT,
) -> Array:
    """The gradient is a convolution of `x` with `g` as the kernel: the batch is what is summed over."""
    padding = []
    for axis, taps in enumerate(shape[:2]):
        low = at.padding[axis][0]
        reach = (g.shape[1 + axis] - 1) * at.stride[axis] + 1 + at.dilation[axis] * (taps - 1)
        padding.append((low, reach - x.shape[1 + axis] - low))
    return lax.conv_general_dilated(
        x,
        g,
        at.dilation,
        padding,
        rhs_dilation=at.stride,
        dimension_numbers=("CHWN", "IHWO", "HWNC"),
        batch_group_count=at.groups,
        precision=precision,
        preferred_element_type=result,
    )


class Operands(NamedTuple):
    """What products are made of: the type, how XLA multiplies it, and as what it gives their sums."""

    dtype: DTypeLike = jnp.float32
    precision: lax.Precision = lax.Precision.DEFAULT
    result: DTypeLike = jnp.float32


@partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def convolve_transposed(x: Array, kernel: Array, at: Geometry, size: Pair, of: Operands) -> Array:
    """`[B, H, W, in] * [kh, kw, out / groups, in] -> [B, *size, out]`: the gradient of the convolution `at` by the same
    kernel, from an image of `size` to that of `x`, given the gradient `x`. Zeiler et al., 2010.
    """
    return _transposed_forward(x, kernel, at, size, of)[0]


def _transposed_forward(
    x: Array, kernel: Array, at: Geometry, size: Pair, of: Operands
) -> tuple[Array, tuple[Array, Array]]:
    x, kernel = x.astype(of.dtype), kernel.astype(of.dtype)
    y = _gradient_of_input((len(x), *size), kernel, x, at, of.result, of.precision)
    return y.astype(jnp.float32), (x, kernel)


def _transposed_backward(
    at: Geometry, size: Pair, of: Operands, saved: tuple[Array, Array], g: Array
) -> tuple[Array, Array]:
    (x, kernel), g = saved, g.astype(of.dtype)
    of_input = convolve(g, kernel, at, of.precision, of.result)
    of_kernel = _gradient_of_kernel(g, kernel.shape, x, at, of.result, of.precision)
    return of_input.astype(jnp.float32), of_kernel.astype(jnp.float32)


convolve_transposed.defvjp(_transposed_forward, _transposed_backward)
