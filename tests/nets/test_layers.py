"""Every layer type, and random chains of them: what is promised about shapes and gradients."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nets.architecture.architecture import Architecture
from nets.architecture.graph import Graph
from nets.architecture.read import parse_architecture
from nets.errors import SpecError
from nets.kernels import plan_for
from nets.layers import LAYERS
from nets.layers.base import Example
from nets.network import Network, initial_variables, numbers_of
from nets.spec.values import Value
from tests.nets.builders import input_of, network

EXAMPLES = [
    pytest.param(example, id=f"{name}-{i}")
    for name, cls in LAYERS.items()
    for i, example in enumerate(cls.examples)
    if len({value.shape[0] for value in example.takes if value.kind == "sequence"}) < 2  # nothing changes a length yet
]
PLANS = {"cpu": plan_for("cpu", training=True), "xla": plan_for("cpu", training=False)}


def around(example: Example) -> Architecture:
    """A network in which `example` is given its own values, the last but two of its layers."""
    first = example.takes[0]
    made = [] if first.kind == "tokens" else enumerate(example.takes)  # nothing makes tokens
    sources = [source(value, first, f"source {place}") for place, value in made]
    layer = {**example.json, "inputs": [each["name"] for each in sources] or "input"}
    end = [{"type": "flatten"}, {"type": "linear", "out": 3}]
    return parse_architecture({**input_of(first), "layers": [*sources, layer, *end]})


def source(value: Value, given: Value, name: str) -> dict[str, Any]:
    """A layer that makes one value of what goes in."""
    if value.kind != "image":
        assert value.shape[:-1] == given.shape[:-1]
        return {"type": "linear", "out": value.shape[-1], "inputs": "input", "name": name}
    window = [have - want + 1 for have, want in zip(given.shape[1:], value.shape[1:], strict=True)]
    return {"type": "conv2d", "out_channels": value.shape[0], "kernel_size": window, "inputs": "input", "name": name}


def inputs_of(graph: Graph, batch: int) -> jax.Array:
    """A batch as it is sent: tokens of the vocabulary, else bytes."""
    most = graph.input.vocabulary or 256
    numbers = np.random.default_rng(0).integers(0, most, (batch, *graph.input.canonical))
    return jnp.asarray(numbers, jnp.int32 if graph.input.vocabulary else jnp.uint8)


def logits_shape(a: Architecture, plan: Any, batch: int = 3) -> tuple[int, ...]:
    images = jax.eval_shape(lambda: inputs_of(a.graph, batch))
    variables = {**initial_variables(a.graph, seed=0), "numbers": numbers_of(a.graph)}
    shape: tuple[int, ...] = jax.eval_shape(
        lambda x: Network(a.graph, plan).apply(variables, x, train=False), images
    ).shape
    return shape


def gradient_step(a: Architecture, plan: Any) -> tuple[Any, Any]:
    """Parameters before and after one step of plain gradient descent on a real loss."""
    variables = initial_variables(a.graph, seed=3)
    images = inputs_of(a.graph, 6)
    labels = jnp.arange(6) % a.graph.classes

    def loss(params: Any) -> jax.Array:
        logits, _ = Network(a.graph, plan).apply(
            {**variables, "params": params, "numbers": numbers_of(a.graph)},
            images,
            train=True,
            rngs={"dropout": jax.random.key(1)},
            mutable=["batch_stats"],
        )
        return -jax.nn.log_softmax(logits)[jnp.arange(6), labels].mean()

    gradients = jax.jit(jax.grad(loss), compiler_options=Network(a.graph, plan).compiler_options)(variables["params"])
    return gradients, variables["params"]


def without_effect(a: Architecture) -> set[tuple[str, str]]:
    """Biases that a following norm subtracts again: their gradient is zero by mathematics, not by mistake."""
    graph = a.graph
    return {
        (node.id, "bias")
        for node in graph.nodes
        if not node.layer.across_batch and all(reader.layer.across_batch for reader in graph.readers[node.id])
    }


def test_every_type_has_examples() -> None:
    assert all(cls.examples for cls in LAYERS.values())


@pytest.mark.parametrize("example", EXAMPLES)
def test_predicted_shape_is_the_shape_that_comes_out(example: Example) -> None:
    a = around(example)
    assert a.applied[-3].gives == example.gives
    for plan in PLANS.values():
        assert logits_shape(a, plan) == (3, 3)


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
@pytest.mark.parametrize("example", EXAMPLES)
def test_one_gradient_step_changes_every_parameter(example: Example, plan: Any) -> None:
    a = around(example)
    gradients, _ = gradient_step(a, plan)
    for layer, arrays in gradients.items():
        for name, gradient in arrays.items():
            moved = bool(jnp.any(gradient != 0)) and bool(jnp.all(jnp.isfinite(gradient)))
            assert moved or (layer, name) in without_effect(a), (layer, name)


SIZES = st.sampled_from([1, 2, 3])
IMAGE_LAYERS = st.one_of(
    st.fixed_dictionaries(
        {"type": st.just("conv2d"), "out_channels": st.integers(1, 4), "kernel_size": SIZES, "stride": SIZES, "padding": st.sampled_from(["same", "valid", 0, 1])}
    ),
    st.fixed_dictionaries({"type": st.just("maxpool2d"), "kernel_size": st.sampled_from([2, 3]), "stride": SIZES, "padding": st.sampled_from(["same", 0, 1])}),
    st.fixed_dictionaries({"type": st.just("residual_block"), "out_channels": st.integers(1, 4), "kernel_size": SIZES}),
    st.sampled_from([{"type": t} for t in ("relu", "sigmoid", "tanh", "softmax", "batchnorm2d")]),
    st.just({"type": "dropout", "p": 0.3}),
)  # fmt: skip
FEATURE_LAYERS = st.one_of(
    st.fixed_dictionaries({"type": st.just("linear"), "out": st.integers(2, 6)}),
    st.sampled_from([{"type": t} for t in ("relu", "sigmoid", "tanh", "softmax", "batchnorm1d", "flatten")]),
    st.just({"type": "dropout", "p": 0.3}),
)


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
@settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(
    image=st.lists(IMAGE_LAYERS, max_size=4),
    features=st.lists(FEATURE_LAYERS, max_size=3),
    shape=st.tuples(st.integers(1, 3), st.integers(9, 12), st.integers(9, 12)),
)
def test_random_chains_have_the_predicted_shapes(
    plan: Any, image: list[dict[str, Any]], features: list[dict[str, Any]], shape: tuple[int, int, int]
) -> None:
    try:
        a = network(*image, {"type": "flatten"}, *features, {"type": "linear", "out": 4}, shape=shape)
    except SpecError:
        return  # pooled away: refused before it runs, which is what the other tests are about
    variables = {**initial_variables(a.graph, seed=0), "numbers": numbers_of(a.graph)}
    images = jax.ShapeDtypeStruct((2, *a.graph.input.canonical), jnp.uint8)
    # Every prefix of the chain that ends in features must have its predicted size too.
    for end, node in enumerate(a.graph.nodes, 1):
        part = Graph(a.graph.input, a.graph.nodes[:end])
        if node.gives.kind == "features":
            out = jax.eval_shape(lambda x, part=part: Network(part, plan).apply(variables, x, train=False), images)
            assert out.shape == (2, *part.output.shape)


def test_linear_reads_an_image_channel_by_channel() -> None:
    a = network({"type": "linear", "out": 2, "bias": False}, shape=(2, 3, 3))
    images = np.random.default_rng(0).random((1, 3, 3, 2), np.float32)
    kernel = np.random.default_rng(1).random((18, 2), np.float32)
    expected = images.transpose(0, 3, 1, 2).reshape(1, 18) @ kernel
    for plan in PLANS.values():
        variables = {**initial_variables(a.graph, seed=0), "params": {"linear_0": {"kernel": kernel}}}
        out = Network(a.graph, plan).apply(variables, jnp.asarray(images), train=False)
        assert np.allclose(out, expected, atol=1e-5)


def test_dropout_keeps_the_mean_and_does_nothing_when_not_training() -> None:
    a = network({"type": "linear", "out": 4000}, {"type": "dropout", "p": 0.4}, shape=(1, 2, 2))
    ones = {"linear_0": {"kernel": np.zeros((4, 4000), np.float32), "bias": np.ones(4000, np.float32)}}
    variables = {**initial_variables(a.graph, seed=0), "params": ones, "numbers": numbers_of(a.graph)}
    images = jnp.zeros((2, 2, 2, 1))
    for plan in PLANS.values():
        kept = Network(a.graph, plan).apply(variables, images, train=False)
        assert np.array_equal(kept, np.ones((2, 4000)))
        dropped = Network(a.graph, plan).apply(variables, images, train=True, rngs={"dropout": jax.random.key(0)})
        assert set(np.unique(dropped).round(4)) == {0.0, np.float32(1 / 0.6).round(4)}
        assert np.mean(dropped) == pytest.approx(1, abs=0.05)
        assert not np.array_equal(dropped[0], dropped[1])


def test_running_statistics_follow_pytorch() -> None:
    a = network({"type": "batchnorm2d", "momentum": 0.25}, {"type": "linear", "out": 2}, shape=(1, 2, 2))
    images = np.random.default_rng(0).integers(0, 256, (5, 2, 2, 1)).astype(np.uint8)
    values = images / 255
    for plan in PLANS.values():
        variables = initial_variables(a.graph, seed=0)
        _, changed = Network(a.graph, plan).apply(variables, jnp.asarray(images), train=True, mutable=["batch_stats"])
        stats = changed["batch_stats"]["batchnorm2d_0"]
        assert stats["mean"][0] == pytest.approx(0.25 * values.mean(), rel=1e-5)
        assert stats["var"][0] == pytest.approx(0.75 + 0.25 * values.var(ddof=1), rel=1e-5)


def named(kept: Any, part: str) -> Any:
    """The arrays of one part of the first layer."""
    return kept.get(f"residual_block_0.{part}", {}).items()


def test_a_residual_block_is_what_it_says() -> None:
    """Against a direct NumPy reading: relu(norm(conv(relu(norm(conv(x))))) + x), evaluated with running statistics."""
    a = network(
        {"type": "residual_block", "out_channels": 1, "kernel_size": 1}, {"type": "linear", "out": 2}, shape=(1, 2, 2)
    )
    variables = initial_variables(a.graph, seed=5)
    p, s = (
        {f"{part}_{name}": array for part in ("conv1", "conv2", "norm1", "norm2") for name, array in named(kept, part)}
        for kept in (variables["params"], variables["batch_stats"])
    )
    variables["batch_stats"]["residual_block_0.norm1"]["mean"] = s["norm1_mean"] = jnp.array([0.3])
    variables["batch_stats"]["residual_block_0.norm2"]["var"] = s["norm2_var"] = jnp.array([2.0])
    x = np.random.default_rng(0).random((3, 2, 2, 1), np.float32)

    def norm(z: Any, n: str) -> Any:
        return (z - s[f"{n}_mean"]) / np.sqrt(s[f"{n}_var"] + 1e-5) * p[f"{n}_scale"] + p[f"{n}_bias"]

    h = np.maximum(norm(x * p["conv1_kernel"][0, 0, 0] + p["conv1_bias"], "norm1"), 0)
    y = np.maximum(norm(h * p["conv2_kernel"][0, 0, 0] + p["conv2_bias"], "norm2") + x, 0)
    last = variables["params"]["linear_1"]
    expected = y.reshape(3, 4) @ last["kernel"] + last["bias"]
    for plan in PLANS.values():
        out = Network(a.graph, plan).apply(variables, jnp.asarray(x), train=False)
        assert np.allclose(out, expected, atol=1e-5)
