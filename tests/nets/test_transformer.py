"""Blocks of Transformers as networks: what reaches what, and the names of their arrays."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import nets
from nets.architecture.graph import Graph
from nets.architecture.read import parse_architecture
from nets.errors import SpecError
from nets.kernels import plan_for
from nets.network import Network, initial_variables

END: list[dict[str, Any]] = [{"type": "flatten"}, {"type": "linear", "out": 2}]
ENCODER: dict[str, Any] = {"type": "transformerencoderlayer", "nhead": 2, "dim_feedforward": 8, "dropout": 0}


def whole(*layers: dict[str, Any], length: int = 5) -> Any:
    """What stands before the last two layers, as a function of sequences; its weights do not depend on their length."""
    a = parse_architecture({"input_shape": [length, 6], "layers": [*layers, *END]})
    graph = Graph(a.graph.input, a.graph.nodes[:-1])
    variables = initial_variables(a.graph, seed=3)
    module = Network(graph, plan_for("cpu", training=True))
    return lambda x: module.apply(variables, x, train=False).reshape(len(x), length, 6)


def steps(length: int) -> jax.Array:
    return jnp.asarray(np.random.default_rng(length).standard_normal((2, length, 6), np.float32))


def test_no_gradient_leaks_from_the_future_through_several_layers() -> None:
    computed = whole(
        {**ENCODER, "causal": True}, {**ENCODER, "causal": True, "norm_first": True, "rotary": True, "nhead": 1}
    )
    of_outputs = jax.jit(jax.jacrev(lambda x: jnp.square(computed(x)).sum((0, 2))))(steps(5))
    assert np.array_equal(np.any(of_outputs != 0, axis=(1, 3)), np.tri(5, dtype=bool))


def test_padded_steps_stay_padding_and_change_nothing() -> None:
    layers = [{**ENCODER, "mask_value": 0}, {**ENCODER, "mask_value": 0, "norm_first": True}]
    x = steps(4)
    longer = jnp.pad(x, ((0, 0), (0, 3), (0, 0)))
    found, expected = jax.jit(whole(*layers, length=7))(longer), jax.jit(whole(*layers, length=4))(x)
    assert np.allclose(found[:, :4], expected, atol=1e-5) and not np.any(found[:, 4:])


def test_arrays_have_the_names_of_pytorch() -> None:
    layers = [{**ENCODER, "name": "encoder"}, {"type": "transformerdecoderlayer", "nhead": 2, "dim_feedforward": 8}]
    layers[1] |= {"name": "decoder", "inputs": ["input", "encoder"]}
    a = parse_architecture({"input_shape": [5, 6], "layers": [*layers, *END]})
    shapes = {
        name: x.shape for name, x in nets.named_arrays(a, initial_variables(a.graph, seed=0), layout="torch").items()
    }
    assert shapes["encoder.self_attn.in_proj_weight"] == (18, 6) and shapes["encoder.linear1.weight"] == (8, 6)
    both = ["linear1.bias", "linear2.weight", "norm1.weight", "norm2.bias", "self_attn.out_proj.bias"]
    assert {f"{layer}.{name}" for layer in ("encoder", "decoder") for name in both} < shapes.keys()
    assert {"decoder.multihead_attn.in_proj_bias", "decoder.norm3.weight"} < shapes.keys()
    assert len(shapes) == 12 + 18 + 4


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ({"nhead": 5}, r"layers\[0\].nhead: must divide the 6 features of the input, got 5; set nhead to 6"),
        ({"d_model": 8}, r"layers\[0\].d_model: transformerencoderlayer declares d_model = 8, but the input gives 6"),
        ({"rotary": True}, r"layers\[0\].rotary: needs an even number of features in each head, got 3"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(layer: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        parse_architecture({"input_shape": [5, 6], "layers": [{**ENCODER, **layer}, *END]})


def test_a_memory_of_other_features_is_refused() -> None:
    memory = {"type": "linear", "out": 4, "name": "memory"}
    decoder = {"type": "transformerdecoderlayer", "nhead": 2, "inputs": ["input", "memory"]}
    with pytest.raises(SpecError, match="input gives 6, 'memory' 4; put a linear layer with out = 6 before"):
        parse_architecture({"input_shape": [5, 6], "layers": [memory, decoder, *END]})
