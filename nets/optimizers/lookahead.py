"""Lookahead, around any optimizer."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array
from jaxtyping import Int
from pydantic import Field

from nets.optimizers.base import Numbers, Tree, copied
from nets.spec.fields import Real, Whole
from nets.spec.traced import Traced, TracedSpec


class Lookahead(TracedSpec):
    """Slow weights that follow the optimizer's now and then, and which it goes on from. Zhang et al., 2019.

    The slow weights are evaluated and saved.
    """

    k: Annotated[Whole, Field(ge=1, le=1_000_000), Traced()] = Field(
        default=5, description="Steps from one meeting to the next."
    )
    alpha: Annotated[Real, Field(gt=0, le=1), Traced()] = Field(
        default=0.5, description="How far the slow weights go to the optimizer's."
    )
    ramp_epochs: Annotated[Real, Field(ge=0, le=100_000), Traced(absent=0.0)] = Field(
        default=0.0, description="Epochs over which `alpha` goes to `final_alpha`; with 0 it stays as it is."
    )
    final_alpha: Annotated[Real, Field(gt=0, le=1), Traced()] = Field(
        default=1.0, description="The `alpha` after the ramp."
    )
    ramp_power: Annotated[Real, Field(gt=0, le=20), Traced()] = Field(
        default=1.0, description="Power of the share of the ramp that has passed: 1 is a line."
    )

    def numbers(self) -> dict[str, float]:
        """Those of a ramp only where there is one."""
        found = super().numbers()
        return found if self.ramp_epochs else {name: found[name] for name in ("k", "alpha")}

    def inputs(self, steps_per_epoch: int) -> dict[str, float]:
        """The numbers of a run, with the ramp in steps."""
        found = self.numbers()
        if "ramp_epochs" in found:
            found["ramp_epochs"] = max(found["ramp_epochs"] * steps_per_epoch, 1.0)
        return found

    def around(self, inner: optax.GradientTransformation, n: Numbers) -> optax.GradientTransformation:
        """An optimizer that begins anew from slow weights every k-th step. n: as `inputs` gives them."""

        def init(params: Tree) -> Kept:
            return Kept(jnp.zeros([], jnp.int32), params, inner.init(params))

        def update(gradients: Tree, state: Kept, params: Tree) -> tuple[Tree, Kept]:
            updates, after = inner.update(gradients, state.inner, params)
            steps = state.steps + 1
            meet = steps % n["k"].astype(jnp.int32) == 0

            alpha = n["alpha"]
            if "ramp_epochs" in n:
                passed = jnp.minimum(steps.astype(jnp.float32) / n["ramp_epochs"], 1)
                alpha = alpha + (n["final_alpha"] - alpha) * passed ** n["ramp_power"]

            def followed(slow: Array, x: Array, step: Array) -> Array:
                return jnp.where(meet, slow + alpha * (x + step - slow), slow)

            slow = jax.tree.map(followed, state.slow, params, updates)
            updates = jax.tree.map(lambda step, x, s: jnp.where(meet, s - x, step), updates, params, slow)
            return updates, Kept(steps, slow, after)

        return optax.GradientTransformation(init, update)


class Kept(NamedTuple):
    """steps: how many there were. slow: weights. inner: what the optimizer keeps."""

    steps: Int[Array, ""]
    slow: Tree
    inner: Tree

    @property
    def evaluated(self) -> Tree:
        return self.slow


def begun(state: Kept, params: Tree, inner: Tree) -> Kept:
    """What is kept before the first step. inner: by the optimizer."""
    return state._replace(slow=copied(params), inner=inner)
