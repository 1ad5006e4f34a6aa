"""Every layer type, and random chains of them: what is promised about shapes and gradients."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import nets
from nets.architecture.architecture import Architecture
from nets.architecture.graph import Graph
from nets.architecture.read import parse_architecture
from nets.datasets import DatasetInfo
from nets.errors import SpecError
from nets.kernels import Plan, plan_for
from nets.layers import LAYERS
from nets.layers.base import Example
from nets.network import Network, initial_variables, numbers_of
from nets.spec.values import Value
from tests.nets.builders import network, stripes
from tests.nets.examples import BATCH, CLASSES, EXAMPLES, PLACE, QUICKLY, Made, Outcome, around, shape_under
from tests.nets.examples import outcome as outcome_of
from tests.nets.kernels.common import BF16_BOUND, assert_near, assert_trained_alike

PLANS = {"cpu": plan_for("cpu", training=True), "xla": plan_for("cpu", training=False)}
ELSEWHERE = {
    "gpu": plan_for("gpu", training=True),
    "tpu": plan_for("tpu", training=True, precision="bfloat16"),
}


@pytest.fixture(scope="module", autouse=True)
def layers_of_the_tests() -> Iterator[None]:
    """What gives examples their values can be written in a network."""
    LAYERS["made"] = Made
    yield
    del LAYERS["made"]


# What takes long to compile; the parity with PyTorch and the tests of their families have the gradients every day.
BY_CI = (
    "adaptivemaxpool2d",
    "bottleneck",
    "convmixerblock",
    "denseblock",
    "invertedresidual",
    "squeezeexcitation",
    "transformerdecoderlayer",
    "transformerencoderlayer",
    *("gru", "lstm", "residual_block"),
)


def is_first(name: str) -> bool:
    return name.endswith("-0")


def every_day(name: str) -> bool:
    return is_first(name) and name.removesuffix("-0") not in BY_CI


# The first example of each type every day, the others by CI. Of the module, so that the tests of one example follow each
# other, and it is compiled once.
ALL = [
    pytest.param(each, id=name, marks=() if every_day(name) else pytest.mark.slow) for name, each in EXAMPLES.items()
]


@pytest.fixture(scope="module", params=ALL)
def example(request: pytest.FixtureRequest) -> Example:
    found: Example = request.param
    return found


@pytest.fixture(scope="module")
def outcome(example: Example) -> Outcome:
    """Every day bfloat16 by the plan of all platforms; the rows for CPUs have tests of their own, and CI has both."""
    named = {id(each): name for name, each in EXAMPLES.items()}
    return outcome_of(example, rounded=("xla",) if every_day(named[id(example)]) else tuple(PLANS))


def without_effect(a: Architecture) -> set[tuple[str, str]]:
    """Biases that a following norm subtracts again: their gradient is zero by mathematics, not by mistake."""
    graph = a.graph
    return {
        (node.id, "bias")
        for node in graph.nodes
        if not node.layer.across_batch and all(reader.layer.across_batch for reader in graph.readers[node.id])
    }


def test_every_type_has_examples() -> None:
    assert all(cls.examples for cls in LAYERS.values() if cls is not Made)


def test_predicted_shape_is_the_shape_that_comes_out(example: Example) -> None:
    a = around(example)
    assert a.applied[-3].gives == example.gives
    for plan in ELSEWHERE.values():
        assert shape_under(a, plan, train=True) == (BATCH, CLASSES)


def test_values_are_those_that_the_next_layer_is_told_of(outcome: Outcome) -> None:
    logits, statistics, _ = outcome.trained["xla"]
    assert logits.shape == outcome.evaluated.shape == (BATCH, CLASSES)
    declared = outcome.network.graph.arrays()["batch_stats"]
    assert {node: {name: array.shape for name, array in arrays.items()} for node, arrays in statistics.items()} == {
        node: {name: each.shape for name, each in arrays.items()} for node, arrays in declared.items()
    }


def test_a_gradient_step_changes_every_parameter(outcome: Outcome) -> None:
    unmoved = without_effect(outcome.network)
    for _, _, (params, *_) in outcome.trained.values():
        for node, arrays in params.items():
            for name, gradient in arrays.items():
                assert np.isfinite(gradient).all(), (node, name)
                assert np.any(gradient != 0) or (node, name) in unmoved, (node, name)


def test_every_plan_trains_alike(outcome: Outcome) -> None:
    """Outputs, statistics, gradients of parameters and of what comes in."""
    assert_trained_alike(outcome.trained["cpu"], outcome.trained["xla"], of_all=1e-5)


def test_a_sample_gets_the_same_answer_alone_and_among_others(example: Example, outcome: Outcome) -> None:
    if not around(example).graph.compares:  # as a batch norm without running statistics does, by its definition
        assert_near([outcome.one], [outcome.evaluated[PLACE : PLACE + 1]])


def test_bfloat16_stays_near_float32(outcome: Outcome) -> None:
    assert_near(list(outcome.rounded.values()), [outcome.evaluated] * len(outcome.rounded), BF16_BOUND)


def test_canonical_json_of_an_example_is_the_same_network(example: Example) -> None:
    a = around(example)
    written = json.loads(json.dumps(a.to_json(), allow_nan=False))
    again = parse_architecture(written)
    assert again == a and again.to_json() == written


def test_what_an_example_costs_is_told(example: Example) -> None:
    """A composite has a row for each of its parts."""
    a = around(example)
    report = nets.inspect({"architecture": a.to_json()}, info=samples_like(a.graph.input), devices=["cpu"])
    whole = a.applied[-3]
    rows = [row for row in report["layers"] if row["pointer"] == f"/architecture/layers/{whole.path[-1]}"]
    assert report["valid"], report["problems"]
    assert rows[-1]["output_shape"] == list(example.gives.shape)
    assert rows[-1]["activation_bytes"] == 4 * example.gives.size
    assert sum(row["macs"] or 0 for row in rows) == whole.layer.cost(*whole.takes).macs
    assert report["memory"] and report["memory"]["total"] > 0 and report["kernels"]


def samples_like(value: Value) -> DatasetInfo:
    return replace(stripes().info, value=value)


def test_arrays_of_an_example_are_exported_by_names_of_their_own(example: Example) -> None:
    a = around(example)
    state = initial_variables(a.graph, seed=0)
    own, torchs = (nets.named_arrays(a, state, layout=layout) for layout in ("flax", "torch"))
    assert len(own) == len(torchs) == len(jax.tree.leaves(state))
    assert sorted(array.size for array in own.values()) == sorted(array.size for array in torchs.values())
    assert sum(float(array.sum()) for array in own.values()) == pytest.approx(
        sum(float(array.sum()) for array in torchs.values()), rel=1e-3, abs=1e-3
    )


def computed(a: Architecture, plan: Plan, state: Any, inputs: np.ndarray, *, train: bool = False) -> tuple[Any, Any]:
    """(logits, changed collections), on the host."""

    def apply(state: Any, inputs: jax.Array) -> Any:
        rngs = {"dropout": jax.random.key(0)}
        return Network(a.graph, plan).apply(state, inputs, train=train, rngs=rngs, mutable=["batch_stats"])

    found: tuple[Any, Any] = jax.device_get(jax.jit(apply, compiler_options=QUICKLY)(state, inputs))
    return found


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
        out = computed(a, plan, variables, images)[0]
        assert np.allclose(out, expected, atol=1e-5)


def test_dropout_keeps_the_mean_and_does_nothing_when_not_training() -> None:
    a = network({"type": "linear", "out": 4000}, {"type": "dropout", "p": 0.4}, shape=(1, 2, 2))
    ones = {"linear_0": {"kernel": np.zeros((4, 4000), np.float32), "bias": np.ones(4000, np.float32)}}
    variables = {**initial_variables(a.graph, seed=0), "params": ones, "numbers": numbers_of(a.graph)}
    images = np.zeros((2, 2, 2, 1), np.float32)
    for plan in PLANS.values():
        kept, _ = computed(a, plan, variables, images)
        assert np.array_equal(kept, np.ones((2, 4000)))
        dropped, _ = computed(a, plan, variables, images, train=True)
        assert set(np.unique(dropped).round(4)) == {0.0, np.float32(1 / 0.6).round(4)}
        assert np.mean(dropped) == pytest.approx(1, abs=0.05)
        assert not np.array_equal(dropped[0], dropped[1])


def test_running_statistics_follow_pytorch() -> None:
    a = network({"type": "batchnorm2d", "momentum": 0.25}, {"type": "linear", "out": 2}, shape=(1, 2, 2))
    images = np.random.default_rng(0).integers(0, 256, (5, 2, 2, 1)).astype(np.uint8)
    values = images / 255
    for plan in PLANS.values():
        variables = initial_variables(a.graph, seed=0)
        _, changed = computed(a, plan, variables, images, train=True)
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
        out, _ = computed(a, plan, variables, x)
        assert np.allclose(out, expected, atol=1e-5)
