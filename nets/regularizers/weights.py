"""Regularizers of weights."""

from __future__ import annotations

from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from nets.regularizers.base import REGULARIZERS, OfWeights


@REGULARIZERS.register
class L1(OfWeights):
    """The sum of the absolute weights, which makes many of them nearly 0. Keras's `L1`. Tibshirani, 1996."""

    type: Literal["l1"] = "l1"

    also = ("lasso",)
    examples = ({"type": "l1", "weight": 0.0001, "layers": "*"},)

    def penalty(self, kernel: Float[Array, "*window width"]) -> Float[Array, ""]:
        return jnp.abs(kernel).sum()


@REGULARIZERS.register
class Orthogonal(OfWeights):
    """The squared distance of W'W from the identity, W the weights of each output: they differ, and have a length of 1.

    Where there are more outputs than inputs, it is that of WW'. Bansal et al., 2018.
    """

    type: Literal["orthogonal"] = "orthogonal"

    also = ("orthonormal",)
    examples = ({"type": "orthogonal", "weight": 0.001, "layers": "conv*"},)

    def penalty(self, kernel: Float[Array, "*window width"]) -> Float[Array, ""]:
        w = kernel.reshape(-1, kernel.shape[-1])
        w = w if len(w) >= w.shape[1] else w.T
        found = jnp.matmul(w.T, w, precision=jax.lax.Precision.HIGHEST)
        return ((found - jnp.eye(w.shape[1])) ** 2).sum()
