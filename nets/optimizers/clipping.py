"""Gradients cut to a size before the optimizer sees them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated

import jax
import jax.numpy as jnp
from jax import Array

from nets.optimizers.base import Numbers, Tree
from nets.spec.fields import Real
from nets.spec.traced import Traced, TracedSpec

LEAST = 1e-6  # added to a norm, as PyTorch has it


class Clipping(TracedSpec):
    """Of all gradients of a step together; 0 for none. value: `clip_grad_value_`. norm: `clip_grad_norm_`, after it."""

    value: Annotated[Real, Traced(absent=0.0)] = 0.0
    norm: Annotated[Real, Traced(absent=0.0)] = 0.0

    def clipped(self, gradients: Tree, n: Numbers, squares: Callable[[Tree], Iterable[Array]]) -> Tree:
        """The gradients no larger than asked for, as they are where nothing is asked for.

        squares: the sum of the squares of each array.
        """
        if "value" in n:
            gradients = jax.tree.map(lambda g: jnp.clip(g, -n["value"], n["value"]), gradients)
        if "norm" in n:
            total = jnp.sqrt(sum(squares(gradients), jnp.float32(0)))
            factor = jnp.minimum(n["norm"] / (total + LEAST), 1)
            gradients = jax.tree.map(lambda g: g * factor, gradients)
        return gradients


def clipping(norm: float | None, value: float | None) -> Clipping:
    """That of hyperparameters, in which null is none."""
    return Clipping(norm=norm or 0.0, value=value or 0.0)
