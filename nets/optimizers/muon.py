"""Muon."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Annotated, Any, Literal

import jax.numpy as jnp
import optax
from jax import Array, lax
from jaxtyping import Float
from pydantic import BeforeValidator, Field

from nets.errors import BrokenRule
from nets.optimizers.base import (
    MEANS,
    OPTIMIZERS,
    Decay,
    Eps,
    LearningRate,
    Numbers,
    Optimizer,
    Tree,
    WeightDecay,
    betas,
    decayed,
)
from nets.optimizers.each import Arrays, each, mean
from nets.optimizers.trees import is_kernel, joined, part
from nets.spec.fields import Boolean, Real, Whole, shown
from nets.spec.traced import Traced


def three(value: object) -> object:
    if not isinstance(value, list | tuple) or len(value) != 3:
        detail = f"must be three numbers such as [3.4445, -4.775, 2.0315], got {shown(value)}"
        raise BrokenRule(detail, "malformed")
    return value


Factor = Annotated[Real, Field(ge=-100, le=100)]


@OPTIMIZERS.register
class Muon(Optimizer):
    """`torch.optim.Muon` for matrices, `torch.optim.AdamW` for all other arrays. Jordan et al., 2024.

    Matrices are the kernels of dense, recurrent and attention layers, and those of convolutions: a row for each channel
    that goes out, a column for each number of its window. Tables of embeddings are none. Steps are made orthogonal in
    float32, where PyTorch computes with bfloat16.
    """

    type: Literal["muon"] = "muon"

    usual_lr = (5e-4, 0.1)
    lr: LearningRate = Field(default=0.001, description="Learning rate of matrices.")
    weight_decay: Annotated[WeightDecay, Traced()] = Field(
        default=0.1, description="Weight decay of matrices, beside the gradient."
    )
    momentum: Annotated[Decay, Traced()] = Field(default=0.95, description="Decay of the mean of the gradient.")
    nesterov: Boolean = Field(default=True, description="Nesterov's momentum.")
    ns_coefficients: Annotated[
        tuple[Factor, Factor, Factor], BeforeValidator(three), Traced(names=("ns_a", "ns_b", "ns_c"))
    ] = Field(default=(3.4445, -4.775, 2.0315), description="The polynomial that brings singular values near 1.")
    eps: Eps = Field(default=1e-7, description="The least length that a matrix is divided by.")
    ns_steps: Annotated[Whole, Field(ge=1, le=99)] = Field(default=5, description="How often it is applied.")
    adjust_lr_fn: Literal["original", "match_rms_adamw"] = Field(
        default="original",
        description="By what the rate of a matrix of A rows and B columns is multiplied: sqrt(max(1, A / B)), or "
        "0.2 sqrt(max(A, B)), with which the lr and weight_decay of an AdamW can be taken over.",
    )
    adam_lr: Annotated[Real, Field(gt=0, le=1000), Traced()] = Field(
        default=0.001, description="Learning rate of all other arrays. Schedules change both."
    )
    adam_betas: Annotated[tuple[Decay, Decay], BeforeValidator(betas), Traced(names=("adam_b1", "adam_b2"))] = Field(
        default=(0.9, 0.999), description=f"{MEANS} Of all other arrays."
    )
    adam_eps: Annotated[Real, Field(gt=0, le=1), Traced()] = Field(
        default=1e-8, description="Added to the denominator of all other arrays."
    )
    adam_weight_decay: Annotated[WeightDecay, Traced()] = Field(
        default=0.01, description="Weight decay of all other arrays."
    )

    rates = ("lr", "adam_lr")
    decays = ("weight_decay", "adam_weight_decay")
    whole = True
    divides = True

    def products(self, arrays: Iterable[tuple[str, tuple[int, ...]]]) -> float:
        """Each iteration multiplies a matrix with itself, what comes of it with itself, and with the matrix."""
        total = 0.0
        for name, shape in arrays:
            if is_kernel(name, len(shape)):
                short, long = sorted((shape[-1], math.prod(shape[:-1])))
                total += self.ns_steps * (4 * short * short * long + 2 * short**3)
        return total

    def transform(self, n: Numbers) -> optax.GradientTransformation:
        matrices, others = each(self.rule(n), "mean"), adamw(n)

        def init(params: Tree) -> dict[str, Any]:
            own, rest = halves(params, params)
            return {"matrices": matrices.init(own), "others": others.init(rest)}

        def update(gradients: Tree, state: dict[str, Any], params: Tree) -> tuple[Tree, dict[str, Any]]:
            (g, other_g), (x, other_x) = halves(gradients, params), halves(params, params)
            steps, own = matrices.update(g, state["matrices"], x)
            other_steps, rest = others.update(other_g, state["others"], other_x)
            return joined(steps, other_steps), {"matrices": own, "others": rest}

        return optax.GradientTransformation(init, update)

    def rule(self, n: Numbers) -> Any:
        """What is added to a matrix."""

        def step(t: Array, g: Array, x: Array, kept: Arrays) -> tuple[Array, Arrays]:
            moved = mean(n["momentum"], kept["mean"], g)
            ahead = mean(n["momentum"], moved, g) if self.nesterov else moved
            flat = ahead.reshape(-1, x.shape[-1])
            made = orthogonal(flat, n, self.ns_steps).reshape(x.shape)
            step = -n["lr"] * self.adjusted(x.shape[-1], len(flat)) * made
            return (step - n["lr"] * n["weight_decay"] * x if "weight_decay" in n else step), {"mean": moved}

        return step

    def adjusted(self, rows: int, columns: int) -> float:
        """By what the learning rate of a matrix is multiplied."""
        if self.adjust_lr_fn == "original":
            return math.sqrt(max(1, rows / columns))
        return 0.2 * math.sqrt(max(rows, columns))


def halves(tree: Tree, params: Tree) -> tuple[Tree, Tree]:
    """The matrices of a tree like `params`, and all its other arrays."""

    def matrix(layer: str, name: str) -> bool:
        return is_kernel(name, params[layer][name].ndim)

    return part(tree, matrix), part(tree, lambda layer, name: not matrix(layer, name))


def adamw(n: Numbers) -> optax.GradientTransformation:
    """`torch.optim.AdamW` by the numbers that are for it."""
    return optax.chain(
        optax.scale_by_adam(b1=n["adam_b1"], b2=n["adam_b2"], eps=n["adam_eps"]),
        decayed(n, "adam_weight_decay"),
        optax.scale_by_learning_rate(n["adam_lr"]),
    )


def orthogonal(x: Float[Array, "a b"], n: Numbers, steps: int) -> Float[Array, "a b"]:
    """A matrix with the singular vectors of `x`, and singular values near 1. By Newton's and Schulz's iteration."""
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    x = x / jnp.maximum(jnp.sqrt(jnp.sum(x * x)), n["eps"])

    def product(one: Array, other: Array) -> Array:
        return jnp.matmul(one, other, precision=lax.Precision.HIGHEST)

    for _ in range(steps):
        gram = product(x, x.T)
        x = n["ns_a"] * x + product(n["ns_b"] * gram + n["ns_c"] * product(gram, gram), x)
    return x.T if tall else x
