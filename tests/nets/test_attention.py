"""Attention: what it computes, what it must not see, what it counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.architecture.read import parse_architecture
from nets.errors import SpecError
from nets.kernels.cpu.attention import attend
from nets.layers import LAYERS
from nets.layers.attention import turned_round
from nets.layers.base import CANONICAL, Bound
from nets.numerics.numerics import Numerics
from nets.spec.values import sequence
from tests.nets.kernels.common import OPTIONS, assert_near, random

NUMERICS = {name: Numerics(name) for name in ("float32", "bfloat16")}


def bound(json: Mapping[str, Any], *xs: jax.Array, precision: str = "float32") -> Bound:
    """A layer on its own, with random arrays, for inputs of these shapes."""
    takes = tuple(sequence(*x.shape[1:]) for x in xs)
    layer = LAYERS.parse(dict(json), ()).filled(*takes)
    assert not list(layer.misfits(*takes))
    random = np.random.default_rng(7)
    params = {
        name: jnp.asarray(random.standard_normal(p.shape, np.float32))
        for name, p in layer.arrays(*takes).parameters.items()
    }
    return Bound(
        layer=layer,
        takes=takes,
        gives=layer.output(*takes),
        train=False,
        batch=len(xs[0]),
        numerics=NUMERICS[precision],
        params=params,
        statistics={},
        numbers={},
        random_key=None,
        axes=CANONICAL["sequence"],
    )


def computed(json: Mapping[str, Any], *xs: jax.Array, precision: str = "float32") -> jax.Array:
    found = bound(json, *xs, precision=precision)
    y: jax.Array = jax.jit(lambda *xs: found.layer.apply(found, *xs))(*xs)
    assert y.shape[1:] == found.gives.shape
    return y


def steps(length: int, width: int, seed: int = 0, batch: int = 2) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).standard_normal((batch, length, width), np.float32))


def by_hand(found: Bound, query: Any, key: Any, value: Any, heads: int) -> Any:
    """A head, a sample and a query at a time."""
    p = {name: np.asarray(array, np.float64) for name, array in found.params.items()}
    if "in_proj_kernel" in p:
        p |= dict(
            zip(("q_proj_kernel", "k_proj_kernel", "v_proj_kernel"), np.split(p["in_proj_kernel"], 3, 1), strict=True)
        )
    biases = np.split(p["in_proj_bias"], 3)
    q, k, v = (
        x @ p[f"{name}_proj_kernel"] + bias for name, x, bias in zip("qkv", (query, key, value), biases, strict=True)
    )
    width = q.shape[2] // heads
    out = np.zeros_like(q)
    for head in range(heads):
        part = slice(head * width, (head + 1) * width)
        for sample in range(len(q)):
            for step in range(q.shape[1]):
                scores = k[sample, :, part] @ q[sample, step, part] / np.sqrt(width)
                weights = np.exp(scores - scores.max())
                out[sample, step, part] = weights / weights.sum() @ v[sample, :, part]
    return out @ p["out_proj_kernel"] + p["out_proj_bias"]


@pytest.mark.parametrize("given", [[(5, 6)], [(5, 6), (3, 6)], [(5, 6), (3, 4), (3, 2)]], ids=len)
def test_it_is_what_it_says(given: list[tuple[int, int]]) -> None:
    xs = [steps(*shape, seed=place) for place, shape in enumerate(given)]
    json = {"type": "multiheadattention", "num_heads": 2}
    found, wide = bound(json, *xs), [np.asarray(x, np.float64) for x in xs]
    expected = by_hand(found, wide[0], wide[min(1, len(wide) - 1)], wide[-1], heads=2)
    assert np.allclose(computed(json, *xs), expected, rtol=1e-4, atol=1e-4)
    assert np.abs(computed(json, *xs, precision="bfloat16") - expected).max() < 0.05 * np.abs(expected).max()


@pytest.mark.parametrize("more", [{}, {"rotary": True}, {"mask_value": 0}], ids=str)
def test_no_gradient_leaks_from_the_future(more: dict[str, Any]) -> None:
    x = steps(6, 8)
    json = {"type": "multiheadattention", "num_heads": 2, "causal": True, **more}
    found = bound(json, x)
    of_outputs = jax.jit(jax.jacrev(lambda x: found.layer.apply(found, x).sum((0, 2))))(x)
    reached = np.any(of_outputs != 0, axis=(1, 3))
    assert np.array_equal(reached, np.tri(6, dtype=bool))


@pytest.mark.parametrize("inputs", [1, 2, 3])
def test_padded_keys_have_no_influence(inputs: int) -> None:
    """What stands behind the last key changes nothing, however much there is; nor does it get a gradient."""
    json = {"type": "multiheadattention", "num_heads": 2, "mask_value": 0.5}
    x, keys, values = steps(4, 6, 1), steps(4, 6, 2), steps(7, 6, 3)

    def given(padding: int) -> list[jax.Array]:
        def longer(y: jax.Array) -> jax.Array:
            return jnp.pad(y, ((0, 0), (0, padding), (0, 0)), constant_values=0.5)

        others = [longer(keys), values[:, : 4 + padding]][: inputs - 1]
        return [longer(x) if inputs == 1 else x, *others]

    expected = computed({**json, "mask_value": None}, *given(0))
    for padding in (0, 1, 3):
        assert np.allclose(computed(json, *given(padding))[:, :4], expected, rtol=1e-5, atol=1e-5)
    if inputs == 3:
        found = bound(json, *given(3))
        of_values = jax.jit(jax.grad(lambda v: found.layer.apply(found, *given(3)[:2], v).sum()))(values)
        assert not jnp.any(of_values[:, 4:]) and jnp.all(of_values[:, :4] != 0)


def test_without_any_key_nothing_is_attended_to_and_gradients_are_finite() -> None:
    x = jnp.zeros((2, 3, 4)).at[0].set(steps(3, 4)[0])
    found = bound({"type": "multiheadattention", "num_heads": 2, "mask_value": 0}, x)
    y = jax.jit(lambda x: found.layer.apply(found, x))(x)
    gradient = jax.jit(jax.grad(lambda x: jnp.square(found.layer.apply(found, x)).sum()))(x)
    assert np.array_equal(y[1], np.broadcast_to(found.param("out_proj_bias"), y[1].shape))
    assert np.all(np.isfinite(y)) and np.all(np.isfinite(gradient))


def test_rotary_scores_depend_on_the_distance_alone() -> None:
    query, key = (jnp.tile(steps(1, 8, seed, batch=1), (1, 7, 1)) for seed in (1, 2))
    turned = jax.jit(lambda x: turned_round(x)[0])
    scores = np.asarray(turned(query)) @ np.asarray(turned(key)).T
    for distance in range(-6, 7):
        diagonal = np.diagonal(scores, distance)
        assert np.allclose(diagonal, diagonal[0], atol=1e-5)
    assert len(set(scores[0].round(3))) > 3


def test_products_count_as_pytorch_counts_them() -> None:
    """By hand: four projections, and for each head scores and weighted sums. Keys of causal attention count in full."""
    layer = LAYERS.parse({"type": "multiheadattention", "num_heads": 4, "causal": True}, ())
    cost = layer.cost(sequence(10, 32))
    assert cost.macs == 4 * 10 * 32 * 32 + 2 * 10 * 10 * 32 and cost.of_values == 2 * 10 * 10 * 32
    assert cost.flops_backward(to_inputs=True) == 2 * cost.flops
    assert cost.flops_backward(to_inputs=False) == cost.flops + 2 * cost.of_values
    cross = layer.cost(sequence(10, 32), sequence(6, 8))
    assert cross.macs == 2 * 10 * 32 * 32 + 2 * 6 * 8 * 32 + 2 * 10 * 6 * 32


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (
            {"num_heads": 4},
            r"layers\[0\].num_heads: must divide the 6 features of the input, got 4; set num_heads to 3",
        ),
        (
            {"num_heads": 2, "d_model": 8},
            r"layers\[0\].d_model: multiheadattention declares d_model = 8, but the input",
        ),
        ({"num_heads": 2, "kdim": 5}, r"declares kdim = 5, but the input gives 6; set kdim to 6, or leave it out"),
        (
            {"num_heads": 2, "rotary": True},
            r"needs an even number of features in each head, got 3; set rotary to false",
        ),
    ],
)
def test_sizes_that_do_not_fit_are_refused(layer: dict[str, Any], message: str) -> None:
    layers = [{"type": "multiheadattention", **layer}, {"type": "flatten"}, {"type": "linear", "out": 2}]
    with pytest.raises(SpecError, match=message):
        parse_architecture({"input_shape": [5, 6], "layers": layers})


def test_attention_of_a_cpu_is_causal_too() -> None:
    """Head by head: what it gives and its gradients."""
    y, g = random(2, 5, 3 * 2 * 4, seed=1), random(2, 5, 2 * 4, seed=2)

    def plainly(y: jax.Array) -> jax.Array:
        query, key, value = (x.reshape(2, 5, 2, 4).swapaxes(1, 2) for x in jnp.split(y, 3, -1))
        scores = jnp.where(np.tri(5) > 0, query @ key.swapaxes(2, 3) / 2, -jnp.inf)
        return (jax.nn.softmax(scores) @ value).swapaxes(1, 2).reshape(2, 5, -1)

    def step(compute: Any) -> Any:
        return jax.jit(lambda y: jax.value_and_grad(lambda y: (compute(y) * g).sum())(y), compiler_options=OPTIONS)(y)

    assert_near(list(step(lambda y: attend(y, 2, True))), list(step(plainly)))
