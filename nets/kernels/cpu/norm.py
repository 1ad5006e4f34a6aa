"""Batch normalisation of images, with what stands around it: relu, a skip connection, a 2 x 2 max pool.

Each is one custom gradient that keeps the input alone and needs two sums over it, forwards and backwards. No gradient
flows through the moments that come back beside the result: they are for the running statistics.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import DTypeLike

from nets.kernels.cpu.gemm import barrier
from nets.kernels.cpu.pool_windows import (
    Corners,
    WindowForm,
    channel_sums,
    corners,
    form,
    largest,
    map_windows,
    materialised,
    per_channel,
    unpool_windows,
)

Normalised = tuple[Corners, Array, Array]
Pooled = tuple[Array, Array, Array]


@dataclass(frozen=True)
class NormOptions:
    """What surrounds the normalisation: a relu before or after it; the type of what is kept; epsilon."""

    eps: float
    dtype: DTypeLike
    relu_before: bool = False
    relu_after: bool = False


def count(z: Corners) -> int:
    """How many values every channel has."""
    return sum(part.size // part.shape[-4] for part in jax.tree.leaves(z))


def anchor(z: Corners) -> Array:
    """`[channels]`: the mean of a few values of every channel, near enough to the mean of all.

    Squares summed around it lose no digits where the mean is large. Chan, Golub & LeVeque, 1983.
    """
    first = z if isinstance(z, Array) and z.ndim == 4 else corners(z)[0]  # an image of one pixel has no corners
    return lax.stop_gradient(first[:, first.shape[1] // 2].mean((1, 2)))


def moments_around(center: Array, sums: Array, squares: Array, values: int) -> tuple[Array, Array]:
    """Mean and biased variance from the sums of differences from `center` and of their squares."""
    offset = sums / values
    return center + offset, jnp.maximum(squares / values - offset * offset, 0)


@partial(jax.custom_vjp, nondiff_argnums=(4,))
def batch_norm(z: Corners, skip: Corners | None, scale: Array, bias: Array, options: NormOptions) -> Normalised:
    """`z` normalised per channel (+ skip, then relu, where asked), and its mean and variance, both `[channels]`."""
    return _norm_forward(z, skip, scale, bias, options)[0]


NormSaved = tuple[Corners, Corners | None, Array, Array, Array, Array]


def _norm_forward(
    z: Corners, skip: Corners | None, scale: Array, bias: Array, options: NormOptions
) -> tuple[Normalised, NormSaved]:
    z = materialised(z)
    center = anchor(z)
    centered = map_windows(lambda v: v - per_channel(center), z)
    sums, squares = channel_sums(centered), channel_sums(map_windows(jnp.square, centered))
    mean, var = moments_around(center, sums, squares, count(z))
    inverse = lax.rsqrt(var + options.eps)
    y = map_windows(lambda v: _affine(v, mean, scale * inverse, bias), z)
    if skip is None:
        # Left to fuse into whatever reads it; the gradient computes the mask again.
        y, saved = map_windows(jax.nn.relu, y) if options.relu_after else y, None
    else:
        y = map_windows(jnp.add, y, skip)
        y = map_windows(jax.nn.relu, y) if options.relu_after else y
        saved = map_windows(lambda v: barrier(v.astype(options.dtype)), y)
        y = map_windows(lambda v: v.astype(jnp.float32), saved)
    return (y, mean, var), (z, saved, scale, bias, mean, inverse)


def _norm_backward(
    options: NormOptions, saved: NormSaved, cotangents: Normalised
) -> tuple[Corners, Corners | None, Array, Array]:
    z, y, scale, bias, mean, inverse = saved
    d = cotangents[0]
    if options.relu_after:
        alive = (
            map_windows(lambda v: _affine(v, mean, scale * inverse, bias) > 0, z)
            if y is None
            else map_windows(_positive, y)
        )
        d = map_windows(lambda live, g: jnp.where(live, g, 0), alive, d)
    d = materialised(d)
    sums = channel_sums(d)
    products = channel_sums(map_windows(lambda g, v: g * (v - per_channel(mean)), d, z)) * inverse
    z_gradient = map_windows(_input_gradient(z, mean, inverse, scale, sums, products), d, z)
    if isinstance(z, tuple):
        z_gradient = materialised(z_gradient)
    return z_gradient, (None if y is None else d), products, sums


batch_norm.defvjp(_norm_forward, _norm_backward)


def norm_pool(z: Corners, before: Array | None, scale: Array, bias: Array, options: NormOptions) -> Pooled:
    """[relu(z + before),] batch norm [, relu], then the largest of every 2 x 2 window of an image of even size.

    The normalisation is monotone: it rises or falls with the sign of its scale. So the windows are pooled first, and
    everything after that, forwards and backwards, works at the pooled size.
    """
    channels = corners(z)[0].shape[0]
    return _norm_pool(z, jnp.zeros(channels) if before is None else before, scale, bias, form(z), options)


@partial(jax.custom_vjp, nondiff_argnums=(4, 5))
def _norm_pool(z: Corners, before: Array, scale: Array, bias: Array, back: WindowForm, options: NormOptions) -> Pooled:
    return _norm_pool_forward(z, before, scale, bias, back, options)[0]


PoolSaved = tuple[Corners, Array, Array, Array, Array, Array, Array]


def _norm_pool_forward(
    z: Corners, before: Array, scale: Array, bias: Array, back: WindowForm, options: NormOptions
) -> tuple[Pooled, PoolSaved]:
    z = materialised(z)
    inputs = partial(_input, before=before, options=options)
    center = inputs(anchor(z)[:, None, None, None])[:, 0, 0, 0]
    four = [inputs(v) for v in corners(z)]
    a, b, c, d = (v - per_channel(center) for v in four)
    sums, squares = channel_sums(barrier(a + b + c + d)), channel_sums(barrier(a * a + b * b + c * c + d * d))
    sign = _sign(scale)
    packed = barrier(pack(*largest(tuple(per_channel(sign) * v for v in four)), options.dtype))
    mean, var = moments_around(center, sums, squares, count(z))
    inverse = lax.rsqrt(var + options.eps)
    y = _affine(unpack(packed)[0], sign * mean, jnp.abs(scale) * inverse, bias)
    y = jax.nn.relu(y) if options.relu_after else y
    return (y.astype(options.dtype).astype(jnp.float32), mean, var), (z, before, scale, bias, packed, mean, inverse)


def _norm_pool_backward(
    back: WindowForm, options: NormOptions, saved: PoolSaved, cotangents: Pooled
) -> tuple[Corners, Array, Array, Array]:
    z, before, scale, bias, packed, mean, inverse = saved
    sign = _sign(scale)
    value, which = unpack(packed)
    d = cotangents[0]
    if options.relu_after:
        d = jnp.where(_affine(value, sign * mean, jnp.abs(scale) * inverse, bias) > 0, d, 0)
    d = barrier(d)
    sums = channel_sums(d)
    products = sign * channel_sums(barrier(d * (value - per_channel(sign * mean)))) * inverse
    gradient = _input_gradient(z, mean, inverse, scale, sums, products)
    inputs = partial(_input, before=before, options=options)

    def corner_gradient(g: Array, v: Array) -> Array:
        dz = gradient(g, inputs(v))
        return barrier((jnp.where(inputs(v) > 0, dz, 0) if options.relu_before else dz).astype(options.dtype))

    z_gradient = map_windows(corner_gradient, unpool_windows(d, which, back), z)
    before_gradient = channel_sums(z_gradient)
    return map_windows(lambda v: v.astype(jnp.float32), z_gradient), before_gradient, products, sums


_norm_pool.defvjp(_norm_pool_forward, _norm_pool_backward)


def pack(value: Array, which: Array, dtype: DTypeLike) -> Array:
    """A value and one of four corners in one word, so that one pass over the image writes both.

    The corner takes the last two bits of the fraction: a relative error of at most 2.4e-7, none for bfloat16.
    """
    word = lax.bitcast_convert_type(value.astype(dtype).astype(jnp.float32), jnp.uint32) + np.uint32(2)
    return (word & np.uint32(0xFFFFFFFC)) | which.astype(jnp.uint32)


def unpack(word: Array) -> tuple[Array, Array]:
    value = lax.bitcast_convert_type(word & np.uint32(0xFFFFFFFC), jnp.float32)
    return value, (word & np.uint32(3)).astype(jnp.int8)


def _input(v: Array, *, before: Array, options: NormOptions) -> Array:
    return jax.nn.relu(v + per_channel(before)) if options.relu_before else v


def _affine(v: Array, mean: Array, factor: Array, bias: Array) -> Array:
    return (v - per_channel(mean)) * per_channel(factor) + per_channel(bias)


def _sign(scale: Array) -> Array:
    return jnp.where(scale >= 0, 1.0, -1.0)


def _positive(v: Array) -> Array:
    return v > 0


def _input_gradient(
    z: Corners, mean: Array, inverse: Array, scale: Array, sums: Array, products: Array
) -> Callable[[Array, Array], Array]:
    """(gradient of the result, input) -> gradient of the input; sums and products: those of `bias` and `scale`."""
    values = count(z)
    factor, along = scale * inverse, inverse * products / values

    def gradient(g: Array, v: Array) -> Array:
        rest = g - per_channel(sums / values) - per_channel(along) * (v - per_channel(mean))
        return per_channel(factor) * rest

    return gradient
