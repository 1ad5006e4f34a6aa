"""Architecture to Flax module: one submodule per layer declares its arrays, a plan computes with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8

from nets.architecture.read import INPUT, Architecture
from nets.kernels.plan import Plan
from nets.layers import Layer, Shape
from nets.layers.base import ones, zeros

Variables = dict[str, Any]
Images = UInt8[np.ndarray, "samples height width channels"]


@dataclass(frozen=True)
class Bound:
    """A layer with its arrays while a network is traced: what `nets.kernels.plan.Bound` promises."""

    layer: Layer
    in_shape: Shape
    train: bool
    batch: int
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
    def __call__(self, *, train: bool, batch: int) -> Bound:
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
        return Bound(layer, shape, train, batch, params, statistics, numbers, key)


class Standardised(nn.Module):
    """Images with mean 0 and deviation 1 per channel, by statistics that travel with the weights."""

    channels: int

    @nn.compact
    def __call__(self, images: Array) -> Float[Array, "batch height width channels"]:
        mean = self.variable("batch_stats", "mean", zeros, None, (self.channels,)).value
        std = self.variable("batch_stats", "std", ones, None, (self.channels,)).value
        scale = 1 / std if images.dtype != jnp.uint8 else 1 / (255 * std)
        return images * scale - mean / std


class Network(nn.Module):
    """A network as a Flax module: images in, logits out. A final softmax is left to whoever reads the logits.

    Collections: `params`, `batch_stats` (statistics of norms, and of the images), `numbers` (inputs such as dropout
    rates).
    """

    architecture: Architecture
    plan: Plan

    @property
    def compiler_options(self) -> dict[str, str | bool] | None:
        """For `jax.jit` of every program that runs this network."""
        return dict(self.plan.compiler_options(self.architecture.layers)) or None

    @nn.compact
    def __call__(self, images: Array, *, train: bool) -> Float[Array, "batch classes"]:
        """`images`: `[batch, height, width, channels]`, uint8 0..255 or float32 0..1."""
        a, plan = self.architecture, self.plan
        parts = zip(a.names, a.layers, a.shapes, strict=True)
        bounds = [LayerArrays(layer, shape, name=name)(train=train, batch=len(images)) for name, layer, shape in parts][
            : a.computed
        ]
        x, before = plan.enter(Standardised(a.input[0], name=INPUT)(images)), a.input
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


def seed_key(seed: int) -> jax.Array:
    """The key of a seed of up to 64 bits: all of them, where `jax.random.key` takes the lower 32."""
    return jax.random.wrap_key_data(jnp.array([seed >> 32, seed % 2**32], jnp.uint32), impl="threefry2x32")


def initial_variables(architecture: Architecture, *, seed: int, images: Images | None = None) -> Variables:
    """Fresh `params` and `batch_stats`. The same seed gives the same values on every platform.

    images: uint8 samples whose mean and deviation standardise all input; without them 0..1 stays as it is.
    """
    key = seed_key(seed)
    found: Variables = {"params": {}, "batch_stats": {INPUT: input_statistics(architecture, images)}}
    for index, name in enumerate(architecture.names):
        arrays = LayerArrays(architecture.layers[index], architecture.shapes[index])
        declared = arrays.init(jax.random.fold_in(key, index), train=False, batch=0)
        for collection in found:
            if collection in declared:
                found[collection][name] = declared[collection]
    return found


def input_statistics(architecture: Architecture, images: Images | None) -> dict[str, np.ndarray]:
    """Mean and deviation of each channel on the scale 0..1, from exact counts of every grey value."""
    channels = architecture.input[0]
    if images is None:
        return {"mean": np.zeros(channels, np.float32), "std": np.ones(channels, np.float32)}
    counts = np.stack([np.bincount(images[..., c].ravel(), minlength=256) for c in range(channels)])
    share, values = counts / counts.sum(1, keepdims=True), np.arange(256) / 255
    mean = share @ values
    deviation = np.sqrt((share * (values - mean[:, None]) ** 2).sum(1))
    # A channel of one value has no deviation: one grey step then counts as one.
    return {"mean": mean.astype(np.float32), "std": np.maximum(deviation, 1 / 255).astype(np.float32)}


def numbers_of(architecture: Architecture) -> dict[str, dict[str, jax.Array]]:
    """The `numbers` collection of an architecture."""
    return {
        layer: {name: jnp.float32(value) for name, value in values.items()}
        for layer, values in architecture.numbers().items()
    }
