"""Transposed convolutions: gradients of convolutions, by whichever row computes these; so are their own gradients."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
from jax import Array

from nets.kernels.cpu.convolution import convolve
from nets.kernels.cpu.gemm import barrier
from nets.kernels.cpu.layouts import image
from nets.kernels.cpu.machine import Machine
from nets.kernels.layouts import Laid
from nets.numerics.windows import Geometry, Pair

Saved = tuple[Array, Array]


@partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def transposed(x: Array, kernel: Array, geometry: Geometry, size: Pair, machine: Machine) -> Array:
    """`[in, H, W, B] * [kh, kw, out / groups, in] -> [out, *size, B]`.

    geometry: of the convolution from an image of `size` to that of `x`, whose gradient this is.
    """
    return _forward(x, kernel, geometry, size, machine)[0]


def _convolution(machine: Machine, geometry: Geometry, y: Array, kernel: Array) -> Array:
    return image(convolve(machine, Laid(y, "CHWB"), kernel, geometry))


def _forward(x: Array, kernel: Array, geometry: Geometry, size: Pair, machine: Machine) -> tuple[Array, Saved]:
    # Only the gradient is read: the convolution of nothing is left out when this is compiled.
    nothing = jnp.zeros((kernel.shape[2] * geometry.groups, *size, x.shape[3]))
    _, pull = jax.vjp(lambda y: _convolution(machine, geometry, y, kernel), nothing)
    return barrier(pull(x)[0]), (x, kernel)


def _backward(geometry: Geometry, size: Pair, machine: Machine, saved: Saved, g: Array) -> tuple[Array, Array]:
    x, kernel = saved
    of_x, pull = jax.vjp(partial(_convolution, machine, geometry), barrier(g), kernel)
    return of_x, pull(x)[1]


transposed.defvjp(_forward, _backward)
