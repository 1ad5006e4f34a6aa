"""Fully connected layers."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from jax import Array
from pydantic import Field

from nets.layers.base import Bound, Example, Layer, register
from nets.layers.parameters import Arrays, weights
from nets.spec.fields import Boolean, Width
from nets.spec.values import Value, features, image, sequence


@register
class Linear(Layer):
    """`y = x W + b`, for each step of a sequence. PyTorch's `nn.Linear`."""

    type: Literal["linear"] = "linear"
    in_features: Width | None = Field(default=None, alias="in", description="Features of the input; may be left out.")
    out_features: Width = Field(alias="out", description="Features of the output.")
    bias: Boolean = Field(default=True, description="Whether each feature gets a trained constant added.")

    also = ("dense",)
    aliases = {"units": "out", "input_dim": "in", "out_features": "out", "in_features": "in"}
    declares = "in_features"
    takes = ("features", "sequence")
    converts = True
    width = "out"
    linear_map = True
    examples = (
        Example({"type": "linear", "out": 128}, (image(64, 7, 7),), features(128)),
        Example({"type": "linear", "in": 3136, "out": 128}, (image(64, 7, 7),), features(128)),
        Example({"type": "linear", "units": 10}, (features(128),), features(10)),
        Example({"type": "linear", "out": 5, "bias": False}, (features(7),), features(5)),
        Example({"type": "linear", "out": 8}, (sequence(5, 6),), sequence(5, 8)),
    )

    def output(self, *inputs: Value) -> Value:
        return replace(inputs[0], shape=(*inputs[0].shape[:-1], self.out_features))

    def arrays(self, *inputs: Value) -> Arrays:
        arriving = inputs[0].channels
        return weights((arriving, self.out_features), outputs=self.out_features, bias=self.bias)

    def apply(self, bound: Bound, *xs: Array) -> Array:
        y = bound.numerics.dot(xs[0], bound.param("kernel"))
        return y if (bias := bound.given("bias")) is None else y + bias
