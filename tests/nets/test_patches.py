"""Images cut into patches, and put together again."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.architecture.graph import Graph
from nets.architecture.read import parse_architecture
from nets.errors import SpecError
from nets.kernels import plan_for
from nets.network import Network, initial_variables, numbers_of
from tests.nets.builders import network

END: list[dict[str, Any]] = [{"type": "flatten"}, {"type": "linear", "out": 2}]


@pytest.mark.parametrize("patch", [1, 2, [1, 6], [4, 3]], ids=str)
def test_patches_put_together_are_the_image(patch: Any) -> None:
    cut = {"type": "tosequence", "patch_size": patch}
    a = network(
        cut, {"type": "toimage", "patch_size": patch, "size": [4, 6]}, {"type": "flatten"}, END[1], shape=(3, 4, 6)
    )
    whole = Graph(a.graph.input, a.graph.nodes[:3])
    x = jnp.asarray(np.random.default_rng(0).random((2, 4, 6, 3), np.float32))
    variables = {**initial_variables(a.graph, seed=0), "numbers": numbers_of(whole)}
    for training in (True, False):
        module = Network(whole, plan_for("cpu", training=training))
        found = jax.jit(lambda x, module=module: module.apply(variables, x, train=False))(x)
        assert np.array_equal(found, x.transpose(0, 3, 1, 2).reshape(2, -1))


@pytest.mark.parametrize(
    ("shape", "layer", "message"),
    [
        ([3, 4, 6], {"type": "tosequence", "patch_size": 3}, r"patch_size: must divide the height and the width of what the input gives \(3 x 4 x 6\), got 3; set patch_size to 2"),
        ([3, 4, 6], {"type": "patchembedding", "patch_size": [2, 4], "embed_dim": 8}, r"patch_size: must divide .*, got \[2, 4\]; set patch_size to 2"),
        ([9, 8], {"type": "toimage", "patch_size": 3}, r"patch_size: must fit the 8 features of the input, .*, got 3; set patch_size to 2"),
        ([6, 8], {"type": "toimage", "patch_size": 2}, r"toimage needs a size for 6 steps, which are no square; set size to \[6, 4\]"),
        ([6, 8], {"type": "toimage", "patch_size": 2, "size": 5}, r"size: must be of 6 patches of 2 x 2, as the input gives, got 5; set size to \[6, 4\]"),
    ],
)  # fmt: skip
def test_sizes_that_do_not_fit_are_refused(shape: list[int], layer: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        parse_architecture({"input_shape": shape, "layers": [layer, *END]})
