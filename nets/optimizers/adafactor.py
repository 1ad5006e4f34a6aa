"""Adafactor."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NamedTuple

import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from jaxtyping import Int
from pydantic import BeforeValidator, Field

from nets.errors import BrokenRule
from nets.optimizers.adaptive import Adaptive
from nets.optimizers.base import OPTIMIZERS, LearningRate, Numbers, Optimizer, Tree, WeightDecay
from nets.optimizers.trees import is_kernel
from nets.spec.fields import Real, shown
from nets.spec.traced import Traced

SMALLEST = float(np.finfo(np.float32).eps)  # what PyTorch takes where the first of eps is null


def two(value: object) -> object:
    if not isinstance(value, list | tuple) or len(value) != 2:
        detail = f"must be a pair of numbers such as [null, 0.001], got {shown(value)}"
        raise BrokenRule(detail, "malformed")
    return [SMALLEST if value[0] is None else value[0], value[1]]


Small = Annotated[Real, Field(ge=0, le=1)]


@OPTIMIZERS.register
class Adafactor(Adaptive):
    """`torch.optim.Adafactor`: of the squares of a matrix rows and columns are kept. Shazeer & Stern, 2018.

    What PyTorch factors are its last two axes: rows and columns of a matrix, height and width of a kernel of images.
    """

    type: Literal["adafactor"] = "adafactor"

    usual_lr = (1e-4, 0.1)
    lr: LearningRate = Field(
        default=0.01, description="Largest step, as a share of the size of an array; and of weight decay."
    )
    beta2_decay: Annotated[Real, Field(ge=-10, le=0), Traced()] = Field(
        default=-0.8, description="Power of the step that is the weight of a new gradient in the means."
    )
    eps: Annotated[tuple[Small, Small], BeforeValidator(two), Traced(names=("eps1", "eps2"))] = Field(
        default=(SMALLEST, 1e-3),
        description="The least root of a mean square (null: that of float32, 1.19e-7), and the least size of an array.",
    )
    d: Annotated[Real, Field(ge=1, le=1e6), Traced()] = Field(default=1.0, description="The largest size of an update.")
    weight_decay: Annotated[WeightDecay, Traced()] = 0.0

    aliases = {**Optimizer.aliases, "clip_threshold": "d"}
    whole = True

    @property
    def slots(self) -> int:
        return 1

    def transform(self, n: Numbers) -> optax.GradientTransformation:
        def init(params: Tree) -> Kept:
            arrays = {layer: {name: begun(name, x) for name, x in own.items()} for layer, own in params.items()}
            return Kept(jnp.zeros([], jnp.int32), arrays)

        def update(gradients: Tree, state: Kept, params: Tree) -> tuple[Tree, Kept]:
            steps = state.steps + 1
            t = steps.astype(jnp.float32)
            updates: dict[str, Any] = {layer: {} for layer in gradients}
            kept: dict[str, Any] = {layer: {} for layer in gradients}
            for layer, own in gradients.items():
                for name, g in own.items():
                    means, square = squares(name, g, state.arrays[layer][name], n, t)
                    kept[layer][name] = means
                    updates[layer][name] = stepped(params[layer][name], g, square, n, t)
            return updates, Kept(steps, kept)

        return optax.GradientTransformation(init, update)


class Kept(NamedTuple):
    """steps: how many there were. arrays: by layer and name, what is kept of the squares of each."""

    steps: Int[Array, ""]
    arrays: dict[str, dict[str, dict[str, Array]]]


def axes_of(name: str, x: Array) -> tuple[int, int]:
    """The axes that PyTorch has as its last two: of kernels what goes out and what comes in come first there."""
    if not is_kernel(name, x.ndim):
        return x.ndim - 2, x.ndim - 1
    return (1, 0) if x.ndim < 4 else (x.ndim - 4, x.ndim - 3)


def begun(name: str, x: Array) -> dict[str, Array]:
    if x.ndim < 2:
        return {"square": jnp.zeros(x.shape)}
    down, across = axes_of(name, x)
    sizes = {"rows": across, "columns": down}
    return {key: jnp.zeros([*x.shape[:gone], 1, *x.shape[gone + 1 :]]) for key, gone in sizes.items()}


def squares(name: str, g: Array, kept: dict[str, Array], n: Numbers, t: Array) -> tuple[dict[str, Array], Array]:
    """The means of a gradient's squares with those of this step, and what they make of each of its numbers."""
    weight = t ** n["beta2_decay"]
    if g.ndim < 2:
        square = kept["square"] + weight * (g * g - kept["square"])
        return {"square": square}, square
    down, across = axes_of(name, g)
    rows = kept["rows"] + weight * (jnp.mean(g * g, across, keepdims=True) - kept["rows"])
    columns = kept["columns"] + weight * (jnp.mean(g * g, down, keepdims=True) - kept["columns"])
    whole = jnp.maximum(jnp.mean(rows, down, keepdims=True), n["eps1"])
    return {"rows": rows, "columns": columns}, rows * columns / whole


def stepped(x: Array, g: Array, square: Array, n: Numbers, t: Array) -> Array:
    """What is added to an array."""
    update = g / jnp.sqrt(jnp.maximum(square, n["eps1"] ** 2))
    size = jnp.maximum(n["eps2"], rms(x)) * jnp.minimum(n["lr"], 1 / jnp.sqrt(t))
    step = -size / jnp.maximum(1, rms(update) / n["d"]) * update
    return step - n["lr"] * n["weight_decay"] * x if "weight_decay" in n else step


def rms(x: Array) -> Array:
    """The root of the mean square."""
    return jnp.sqrt(jnp.mean(x * x))
