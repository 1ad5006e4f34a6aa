"""Layers that change sizes: what they refuse, and how they say it. What they compute is compared with PyTorch."""

from __future__ import annotations

import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.architecture.read import parse_architecture
from nets.errors import SpecError
from nets.kernels import plan_for
from nets.layers import LAYERS
from nets.layers.base import Example
from nets.network import Network, initial_variables
from nets.spec.values import Value, features, image, kind_of, sequence

PLANS = (plan_for("cpu", training=True), plan_for("cpu", training=False))
LINEAR = {"type": "linear", "out": 3}
SIZES = [
    pytest.param(example, id=f"{name}-{place}")
    for name in ("upsample", "pixelshuffle", "pixelunshuffle", "zeropad2d", "crop2d", "reshape", "permute", "slice")
    for place, example in enumerate(LAYERS[name].examples)
]


def gives(shape: list[int], *layers: dict[str, Any]) -> Value:
    """What comes out of the last of some layers."""
    network = parse_architecture({"input_shape": shape, "layers": [*layers, {"type": "flatten"}, LINEAR]})
    return network.applied[len(layers) - 1].gives


@pytest.mark.parametrize(
    ("shape", "layer", "value"),
    [
        ([1, 28, 28], {"type": "reshape", "shape": [28, -1]}, sequence(28, 28)),
        ([12], {"type": "unflatten", "unflattened_size": [3, 2, 2]}, image(3, 2, 2)),
        ([4, 3, 2], {"type": "flatten", "start_dim": 2}, sequence(6, 4)),
        ([4, 3, 2], {"type": "flatten", "start_dim": -1}, image(4, 3, 2)),
        ([5, 6], {"type": "slice", "index": -1}, features(6)),
        ([5, 6], {"type": "slice", "dim": "features", "start": -2}, sequence(5, 2)),
        ([5, 6], {"type": "permute", "dims": [-1, -2]}, sequence(6, 5)),
        ([2, 9, 9], {"type": "crop2d", "size": 4}, image(2, 4, 4)),
        ([5, 6], {"type": "upsample", "scale_factor": 1.5}, sequence(7, 6)),
    ],
)
def test_sizes_follow_from_what_comes_in(shape: list[int], layer: dict[str, Any], value: Value) -> None:
    assert gives(shape, layer) == value


@pytest.mark.parametrize(
    ("shape", "layer", "message"),
    [
        ([1, 5, 5], {"type": "reshape", "shape": [4, -1]}, "shape = [4, -1] takes a multiple of 4 values, but"),
        (
            [10],
            {"type": "reshape", "shape": [2, 4]},
            "takes 8 values, but the input gives 10 values (10); change a size",
        ),
        ([10], {"type": "reshape", "shape": [-1, -1]}, "must have at most one -1"),
        ([10], {"type": "reshape", "shape": [1, 2, 1, 5]}, "must be a list of 1 to 3 sizes"),
        ([3, 4], {"type": "permute", "dims": [3, 1, 2]}, "must have the 2 axes of what the input gives"),
        ([3, 4], {"type": "permute", "dims": [1, 1]}, "must be axes in a new order"),
        ([3, 4], {"type": "flatten", "start_dim": 3}, "must be one of the 2 axes of what the input gives"),
        ([3, 4], {"type": "flatten", "start_dim": 0}, "must be one of the 2 axes of what the input gives"),
        ([3, 4], {"type": "slice", "index": 3}, "must be one of the 3 steps, -3 to 2, got 3"),
        ([3, 4], {"type": "slice", "index": 0, "stop": 2}, "send one of both"),
        ([3, 4], {"type": "slice", "start": 3}, "slice 3::1 has none of the 3 along length"),
        ([3, 4], {"type": "slice", "axis": "height"}, '(length, features or 1 to 2), got "height"'),
        ([2, 4, 4], {"type": "slice", "index": 1}, "for one of the channels set start to 1 and stop to 2"),
        ([2, 4, 4], {"type": "crop2d"}, "crop2d needs one of cropping and size"),
        ([2, 4, 4], {"type": "crop2d", "size": 5}, "must be at most the 4 x 4 that the input gives, got 5"),
        ([2, 4, 4], {"type": "crop2d", "cropping": 2}, "cuts off all of the 4 x 4 pixels"),
        ([2, 4, 4], {"type": "zeropad2d", "padding": [1, 2]}, "must be a whole number or [left, right, top, bottom]"),
        ([2, 4, 4], {"type": "zeropad2d", "padding": -2}, "leave at least one row and column"),
        ([3, 4, 4], {"type": "pixelshuffle", "upscale_factor": 2}, "but the input gives 3 (3 x 4 x 4); give it 4"),
        ([3, 5, 4], {"type": "pixelunshuffle", "downscale_factor": 2}, "but the input gives 5 x 4; crop or pad"),
        ([3, 4, 4], {"type": "upsample"}, "upsample needs one of scale_factor and size"),
        ([3, 4, 4], {"type": "upsample", "size": 8, "mode": "linear"}, "must be nearest or bilinear for an image"),
        ([3, 4], {"type": "upsample", "scale_factor": [2, 2]}, "must be one number for the length of a sequence"),
        ([3, 4], {"type": "upsample", "scale_factor": 0.1}, "makes 0 (length) of what the input gives"),
        ([3, 4], {"type": "upsample", "size": 6, "align_corners": True}, "nearest takes no align_corners"),
    ],
)
def test_what_does_not_fit_is_told_with_its_cure(shape: list[int], layer: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=rf"layers\[0\].*{re.escape(message)}"):
        gives(shape, layer)


@pytest.mark.parametrize("example", SIZES)
def test_no_gradient_is_scattered(example: Example) -> None:
    """The order in which a GPU adds what is scattered is not defined."""
    end = [{"type": "flatten"}, LINEAR]
    shape = list(example.takes[0].shape)
    a = parse_architecture({"input_shape": shape, "layers": [dict(example.json), *end]})
    assert a.applied[0].gives == Value(kind_of(example.gives.shape), example.gives.shape)
    variables, x = initial_variables(a.graph, seed=0), np.zeros((2, *a.graph.input.canonical), np.float32)
    for plan in PLANS:
        network = Network(a.graph, plan)

        def total(x: jax.Array, network: Network = network) -> jax.Array:
            return jnp.sum(network.apply(variables, x, train=False) ** 2)

        assert "scatter" not in jax.jit(jax.grad(total)).lower(x).as_text()
