"""Recurrent layers: what they refuse and cost, and what they keep in float32. Their numbers are compared with PyTorch's."""

from __future__ import annotations

import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.architecture.cost import flops_backward
from nets.architecture.read import parse_architecture
from nets.errors import SpecError
from nets.exchange.named import named_arrays
from nets.kernels import plan_for
from nets.network import Network, initial_variables, numbers_of

LAST = {"type": "linear", "out": 2}


def network(layer: dict[str, Any], shape: tuple[int, ...] = (5, 3)) -> Any:
    return parse_architecture({"input_shape": list(shape), "layers": [layer, {"type": "flatten"}, LAST]})


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ({"type": "lstm"}, "hidden_size: is required by lstm"),
        ({"type": "lstm", "hidden_size": 4, "input_size": 2}, "lstm declares input_size = 2, but the input gives 3"),
        ({"type": "lstm", "hidden_size": 4, "proj_size": 4}, "must be less than hidden_size = 4, got 4"),
        ({"type": "gru", "hidden_size": 4, "output": "first"}, "must be 'sequence' or 'last'"),
        ({"type": "rnn", "hidden_size": 4, "nonlinearity": "gelu"}, "must be 'tanh' or 'relu'"),
        ({"type": "rnn", "hidden_size": 4, "batch_first": 1}, "batch_first: must be true or false"),
    ],
)
def test_what_does_not_fit_is_told_with_its_cure(layer: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=rf"layers\[0\].*{re.escape(message)}"):
        network(layer)


@pytest.mark.parametrize(
    ("shape", "cure"), [([1, 4, 4], r"put a reshape to \[length, features\] before it"), ([9], "put a reshape")]
)
def test_images_and_features_have_to_become_a_sequence(shape: list[int], cure: str) -> None:
    with pytest.raises(SpecError, match=rf"lstm expects a sequence.*; {cure}"):
        network({"type": "lstm", "hidden_size": 2}, tuple(shape))


def test_every_product_is_counted_and_all_but_the_first_have_a_gradient_of_what_they_read() -> None:
    layer = {"type": "lstm", "hidden_size": 4, "num_layers": 2, "bidirectional": True, "proj_size": 2}
    a = network(layer, (5, 3))
    node = a.graph.nodes[0]
    first, above, states, projected = 3 * 16, 4 * 16, 2 * 16, 4 * 2
    assert node.cost.macs == 5 * 2 * (first + above + 2 * (states + projected))
    assert flops_backward(a.graph)[node.id] == 2 * 5 * 2 * (first + 2 * above + 4 * (states + projected))
    assert node.cost.drawn == 0
    assert network({**layer, "dropout": 0.5}).graph.nodes[0].cost.drawn == 5 * 2 * 2


def test_arrays_have_the_names_and_shapes_of_pytorch() -> None:
    a = network({"type": "lstm", "name": "it", "hidden_size": 4, "bidirectional": True, "proj_size": 2})
    named = named_arrays(a, initial_variables(a.graph, seed=0), layout="torch")
    assert {name: array.shape for name, array in named.items() if name.startswith("it.") and "l0_r" not in name} == {
        "it.weight_ih_l0": (16, 3),
        "it.weight_hh_l0": (16, 2),
        "it.bias_ih_l0": (16,),
        "it.bias_hh_l0": (16,),
        "it.weight_hr_l0": (2, 4),
    }
    assert sum(name.endswith("l0_reverse") for name in named) == 5


def test_dropout_between_layers_draws_while_training_alone() -> None:
    a = network({"type": "gru", "hidden_size": 8, "num_layers": 2, "dropout": 0.5})
    variables = {**initial_variables(a.graph, seed=0), "numbers": numbers_of(a.graph)}
    x = np.random.default_rng(0).normal(size=(3, 5, 3)).astype(np.float32)
    whole = Network(a.graph, plan_for("cpu", training=True))
    plain = [whole.apply(variables, x, train=False) for _ in range(2)]
    drawn = [whole.apply(variables, x, train=True, rngs={"dropout": jax.random.key(key)}) for key in (0, 0, 1)]
    assert np.array_equal(plain[0], plain[1]) and np.array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2]) and not np.array_equal(drawn[0], plain[0])


@pytest.mark.parametrize("kind", ["lstm", "gru", "rnn"])
def test_states_are_float32_whatever_the_precision_and_nothing_is_scattered(kind: str) -> None:
    a = network({"type": kind, "hidden_size": 4})
    variables, x = initial_variables(a.graph, seed=0), np.zeros((2, 5, 3), np.float32)
    for training in (True, False):
        whole = Network(a.graph, plan_for("cpu", training=training, precision="bfloat16"))

        def total(params: Any, whole: Network = whole) -> jax.Array:
            return jnp.sum(whole.apply({**variables, "params": params}, x, train=False) ** 2)

        text = jax.jit(jax.grad(total)).lower(variables["params"]).as_text()
        wide = [line for line in text.splitlines() if re.search(r"= stablehlo\.(tanh|logistic|add|multiply) ", line)]
        assert wide and not any("bf16" in line for line in wide)
        assert "scatter" not in text
