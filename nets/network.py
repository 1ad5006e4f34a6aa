"""Architecture to Flax module: one submodule per layer declares its arrays, a plan computes with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from nets.architecture import Architecture
from nets.kernels.plan import Plan
from nets.layers import Layer, Shape

Variables = dict[str, Any]


@dataclass(frozen=True)
class Bound:
    """A layer with its arrays while a network is traced: what `nets.kernels.plan.Bound` promises."""

    layer: Layer
    in_shape: Shape
    train: bool
    params: dict[str, jax.Array]
    statistics: dict[str, Any]  # flax variables
    numbers: dict[str, jax.Array]
    random_key: jax.Array | None

    def param(self, name: str) -> jax.Array:
        return self.params[name]

    def number(self, name: str) -> jax.Array:
        return self.numbers[name]

    def statistic(self, name: str) -> jax.Array:
        value: jax.Array = self.statistics[name].value
        return value

    def update(self, name: str, value: jax.Array) -> None:
        self.statistics[name].value = value

    def key(self) -> jax.Array:
        assert self.random_key is not None, f"{self.layer.type} draws no random numbers here"
        return self.random_key


class LayerArrays(nn.Module):
    """Declares the arrays of one layer under its id."""

    layer: Layer
    shape: Shape

    @nn.compact
    def __call__(self, *, train: bool) -> Bound:
        layer, shape = self.layer, self.shape
        params = {name: self.param(name, p.init, p.shape) for name, p in layer.parameters(shape).items()}
        statistics = {
            name: self.variable("batch_stats", name, p.init, None, p.shape)  # zeros and ones: no key
            for name, p in layer.statistics(shape).items()
        }
        numbers = {
            name: self.variable("numbers", name, jnp.float32, value).value for name, value in layer.numbers().items()
        }
        key = self.make_rng("dropout") if train and layer.random else None
        return Bound(layer, shape, train, params, statistics, numbers, key)


class Network(nn.Module):
    """A network as a Flax module: images in, logits out. A final softmax is left to whoever reads the logits.

    Collections: `params`, `batch_stats` (running statistics), `numbers` (inputs such as dropout rates).
    """

    architecture: Architecture
    plan: Plan

    @nn.compact
    def __call__(self, images: Array, *, train: bool) -> Float[Array, "batch classes"]:
        """`images`: `[batch, height, width, channels]`, uint8 0..255 or float32 0..1."""
        a, plan = self.architecture, self.plan
        parts = zip(a.names, a.layers, a.shapes, strict=True)
        bounds = [LayerArrays(layer, shape, name=name)(train=train) for name, layer, shape in parts][: a.computed]
        x, before = plan.enter(images), a.input
        for stage in plan.stages(a.layers[: a.computed], train=train):
            first = bounds[stage.start]
            if len(first.in_shape) != len(before):
                x = (
                    plan.flatten(x)
                    if len(before) == 3
                    else plan.as_image(x, height=first.in_shape[1], width=first.in_shape[2])
                )
            x = (
                first.layer.apply(x, first, plan)
                if stage.run is None
                else stage.run(x, bounds[stage.start : stage.stop])
            )
            last = bounds[stage.stop - 1]
            before = last.layer.output_shape(last.in_shape)
        return plan.leave(x)


def initial_variables(architecture: Architecture, *, seed: int) -> Variables:
    """Fresh `params` and `batch_stats`. The same seed gives the same values on every platform."""
    key = jax.random.key(seed)
    found: Variables = {"params": {}, "batch_stats": {}}
    for index, name in enumerate(architecture.names):
        arrays = LayerArrays(architecture.layers[index], architecture.shapes[index])
        declared = arrays.init(jax.random.fold_in(key, index), train=False)
        for collection in found:
            if collection in declared:
                found[collection][name] = declared[collection]
    return found


def numbers_of(architecture: Architecture) -> dict[str, dict[str, jax.Array]]:
    """The `numbers` collection of an architecture."""
    return {
        layer: {name: jnp.float32(value) for name, value in values.items()}
        for layer, values in architecture.numbers().items()
    }
