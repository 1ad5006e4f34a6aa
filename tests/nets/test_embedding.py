"""Vectors of tokens and positions."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.architecture.read import parse_architecture
from nets.errors import SpecError
from nets.kernels import plan_for
from nets.layers.embedding import sinusoids
from nets.network import Network, initial_variables

END: list[dict[str, Any]] = [{"type": "flatten"}, {"type": "linear", "out": 2}]
TEXT: dict[str, Any] = {"input_shape": [5], "input_vocabulary": 9}


def test_a_padding_token_is_zero_and_gets_no_gradient() -> None:
    a = parse_architecture({**TEXT, "layers": [{"type": "embedding", "out": 4, "padding_idx": -9}, *END]})
    variables = initial_variables(a.graph, seed=1)
    table = variables["params"]["embedding_0"]["embedding"]
    assert table.shape == (9, 4) and not np.any(table[0]) and np.all(table[1:] != 0)
    tokens = jnp.array([[0, 1, 2, 1, 0], [3, 0, 0, 8, 3]])

    def loss(params: Any) -> jax.Array:
        out = Network(a.graph, plan_for("cpu", training=True)).apply(
            {**variables, "params": params}, tokens, train=True
        )
        return jnp.square(out - 1).sum()

    gradient = jax.grad(loss)(variables["params"])["embedding_0"]["embedding"]
    assert {row for row in range(9) if np.any(gradient[row])} == {1, 2, 3, 8}


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (
            {"num_embeddings": 8},
            r"layers\[0\].num_embeddings: must be at least 9, one for each token of the input, got 8",
        ),
        ({"padding_idx": 9}, r"layers\[0\].padding_idx: must be a token from -9 to 8, got 9"),
        ({"max_norm": 1.0}, r"layers\[0\].max_norm: is not supported, got 1.0: PyTorch then rewrites rows"),
    ],
)
def test_what_does_not_fit_is_refused(layer: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        parse_architecture({**TEXT, "layers": [{"type": "embedding", "embedding_dim": 4, **layer}, *END]})


def test_fewer_positions_than_steps_are_refused() -> None:
    layers = [{"type": "positionalembedding", "max_length": 4}, *END]
    with pytest.raises(SpecError, match=r"max_length: must be at least the length of what the input gives, 5, got 4"):
        parse_architecture({"input_shape": [5, 6], "layers": layers})


def test_sinusoids_are_those_of_the_paper() -> None:
    found = sinusoids(50, 6)
    assert found.shape == (50, 6) and sinusoids(3, 5).shape == (3, 5)
    for position in (0, 1, 49):
        for feature in range(6):
            angle = position / 10_000 ** (2 * (feature // 2) / 6)
            assert found[position, feature] == pytest.approx(np.cos(angle) if feature % 2 else np.sin(angle), abs=1e-6)
