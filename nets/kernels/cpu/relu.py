"""The relu behind a convolution, computed and rounded in one pass, forwards and backwards."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import DTypeLike

from nets.kernels.cpu.gemm import stored
from nets.kernels.cpu.pool_windows import channel_sums, per_channel
from nets.kernels.layouts import Laid


def biased_relu(z: Laid, bias: Array | None, dtype: DTypeLike) -> Laid:
    """relu(z + bias) of an image, kept as `dtype`; the gradient needs no more than that."""
    channels = jax.tree.leaves(z)[0].shape[0]
    return _biased_relu(z, jnp.zeros(channels) if bias is None else bias, dtype)


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def _biased_relu(z: Laid, bias: Array, dtype: DTypeLike) -> Laid:
    return _forward(z, bias, dtype)[0]


def _forward(z: Laid, bias: Array, dtype: DTypeLike) -> tuple[Laid, Laid]:
    y: Laid = jax.tree.map(lambda z: stored(jax.nn.relu(z + per_channel(bias)), dtype), z)
    return y, y


def _backward(dtype: DTypeLike, y: Laid, g: Laid) -> tuple[Laid, Array]:
    g = jax.tree.map(lambda y, g: stored(jnp.where(y > 0, g, 0), dtype), y, g)
    return g, channel_sums(tuple(jax.tree.leaves(g)))


_biased_relu.defvjp(_forward, _backward)
