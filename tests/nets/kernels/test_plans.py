"""Whole networks: the same numbers under every plan, fused or not, and what XLA makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from nets.architecture.read import Architecture, parse_architecture
from nets.kernels import Plan, XlaPlan, plan_for
from nets.kernels.cpu import CpuPlan
from nets.kernels.cpu.machine import product_unit
from nets.kernels.cpu.native import conv as native
from nets.kernels.plan import Stage
from nets.network import Network, numbers_of
from tests.nets.kernels.common import OPTIONS, assert_near, images, random, trained, variables


@dataclass(frozen=True)
class Unfused(CpuPlan):
    """The CPU plan with every layer on its own."""

    def stages(self, layers: Sequence[Any], *, train: bool) -> tuple[Stage, ...]:
        return XlaPlan().stages(layers, train=train)


def conv(width: int, kernel: int = 3, **fields: Any) -> dict[str, Any]:
    return {"type": "conv2d", "out_channels": width, "kernel_size": kernel, "padding": "same", **fields}


RELU, NORM, FLAT = {"type": "relu"}, {"type": "batchnorm2d"}, {"type": "flatten"}
POOL = {"type": "maxpool2d", "kernel_size": 2}
HEAD = [FLAT, {"type": "linear", "out_features": 3}]
# Every tail of `cpu.stages`, the sizes at which they give way, and neighbours that exchange phases, images, features.
NETWORKS: dict[str, tuple[tuple[int, int, int], list[dict[str, Any]]]] = {
    "pool twice": ((1, 8, 8), [conv(4), RELU, POOL, conv(5), POOL, RELU, *HEAD]),
    "odd pool": ((2, 7, 7), [conv(4, bias=False), RELU, POOL, conv(4), RELU, POOL, *HEAD]),
    "other pool": (
        (1, 8, 8),
        [conv(4), RELU, {"type": "maxpool2d", "kernel_size": 3, "stride": 2, "padding": 1}, *HEAD],
    ),
    "relu norm pool": ((1, 8, 8), [conv(4), RELU, NORM, POOL, conv(4), RELU, NORM, POOL, *HEAD]),
    "norm relu pool": ((3, 8, 8), [conv(4), NORM, RELU, POOL, conv(4), NORM, POOL, RELU, *HEAD]),
    "norm pool at odd size": ((1, 5, 6), [conv(4), NORM, POOL, *HEAD]),
    "norms": ((1, 6, 6), [NORM, RELU, conv(4, stride=2), NORM, RELU, conv(4), NORM, conv(4), *HEAD]),
    "residual": (
        (1, 6, 6),
        [conv(4), {"type": "residual_block", "out_channels": 4}, {"type": "residual_block", "out_channels": 6}, *HEAD],
    ),
    "winograd": (
        (1, 8, 8),
        [conv(8), {"type": "residual_block", "out_channels": 9}, conv(8), RELU, conv(8), RELU, POOL, *HEAD],
    ),
    "winograd norm pool": ((1, 8, 8), [conv(8), conv(8), RELU, NORM, POOL, *HEAD]),
    "winograd at odd size": (
        (1, 11, 11),
        [conv(18), RELU, conv(18), RELU, conv(18, padding="valid"), RELU, POOL, *HEAD],
    ),
    "wide kernels": ((1, 6, 6), [conv(8, 5), RELU, POOL, conv(9, 5), NORM, RELU, conv(8, 4, stride=2), *HEAD]),
    "strides of large kernels": (
        (1, 8, 8),
        [conv(8), RELU, conv(8, 5, stride=2), NORM, RELU, POOL, conv(4, 4, stride=2, padding=1), *HEAD],
    ),
    "tiles of strides": ((1, 16, 16), [conv(4), RELU, conv(8, 5, stride=2), NORM, RELU, conv(6, 1), RELU, POOL, *HEAD]),
    "windows larger than the image": (
        (2, 5, 5),
        [conv(4, 7, stride=2, padding=3), RELU, conv(5, 5), RELU, conv(6, 7, stride=2, padding=3), *HEAD],
    ),
    "features": (
        (2, 3, 3),
        [FLAT, {"type": "linear", "out_features": 9}, RELU, {"type": "batchnorm1d"}, conv(2), {"type": "tanh"}, *HEAD],
    ),
    "few features of an image": (
        (1, 4, 4),
        [
            conv(3),
            RELU,
            FLAT,
            {"type": "linear", "out_features": 4},
            RELU,
            {"type": "linear", "out_features": 16},
            *HEAD,
        ],
    ),
    "dropout everywhere": (
        (2, 4, 4),
        [
            conv(3),
            {"type": "dropout", "p": 0.3},
            RELU,
            FLAT,
            {"type": "dropout", "p": 0.4},
            {"type": "linear", "out_features": 8},
            {"type": "dropout", "p": 0.5},
            *HEAD[1:],
        ],
    ),
}


@cache
def architecture(name: str) -> Architecture:
    (channels, height, width), layers = NETWORKS[name]
    shape = {"input_channels": channels, "input_height": height, "input_width": width}
    return parse_architecture({**shape, "layers": layers})


@pytest.mark.parametrize("name", NETWORKS)
def test_training_is_the_same_under_every_plan(name: str) -> None:
    a = architecture(name)
    expected = trained(a, XlaPlan())
    gradients = jax.tree.leaves(expected[2])
    largest = max(float(jnp.abs(g).max()) for g in gradients)
    for plan in (CpuPlan(), Unfused()):
        found = trained(a, plan)
        assert jax.tree.structure(found) == jax.tree.structure(expected)
        assert_near(jax.tree.leaves(found[:2]), jax.tree.leaves(expected[:2]))
        for ours, theirs in zip(jax.tree.leaves(found[2]), gradients, strict=True):
            # Gradients that cancel to nothing (biases before a norm) are measured against the largest of all; norms of
            # few values of little spread multiply rounding errors.
            np.testing.assert_allclose(
                ours, theirs, rtol=0, atol=2e-5 * max(float(jnp.abs(theirs).max()), largest / 10)
            )


@pytest.mark.parametrize("name", NETWORKS)
def test_evaluation_is_the_same_under_every_plan(name: str) -> None:
    a = architecture(name)
    state = {**variables(a), "numbers": numbers_of(a)}

    def logits(plan: Plan) -> jax.Array:
        network = Network(a, plan)
        options = {**OPTIONS, **(network.compiler_options or {})}
        evaluate = jax.jit(lambda v: network.apply(v, images(a), train=False), compiler_options=options)
        y: jax.Array = evaluate(state)
        return y

    assert_near([logits(CpuPlan())], [logits(XlaPlan())])


@pytest.mark.parametrize("precision", ["bfloat16"])
@pytest.mark.parametrize("name", NETWORKS)
def test_bfloat16_stays_near_float32(name: str, precision: str) -> None:
    """Logits within 5 % of the largest; the gradient as a whole within 15 %, its direction within a few degrees."""
    a = architecture(name)
    y, _, gradients = trained(a, XlaPlan())
    exact = np.concatenate([np.ravel(g) for g in jax.tree.leaves(gradients)])
    for plan in (CpuPlan(precision), XlaPlan(precision)):
        found, _, narrow = trained(a, plan)
        assert_near([found], [y], 0.05)
        rounded = np.concatenate([np.ravel(g) for g in jax.tree.leaves(narrow)])
        assert np.linalg.norm(rounded - exact) < 0.15 * np.linalg.norm(exact)


def test_stages_cover_every_layer_once() -> None:
    for name in NETWORKS:
        layers = architecture(name).layers
        for plan in (CpuPlan(), XlaPlan()):
            stages = plan.stages(layers, train=True)
            assert [i for stage in stages for i in range(stage.start, stage.stop)] == list(range(len(layers)))


def test_stages_take_the_longest_run_of_layers() -> None:
    types = ["conv2d", "relu", "batchnorm2d", "maxpool2d", "conv2d", "batchnorm2d", "relu", "relu", "maxpool2d"]
    layers = [type("Layer", (), {"type": kind})() for kind in types]
    found = [(stage.start, stage.stop, stage.run is not None) for stage in CpuPlan().stages(layers, train=True)]
    assert found == [(0, 4, True), (4, 7, True), (7, 8, False), (8, 9, False)]


def test_a_norm_takes_what_no_relu_has_rounded() -> None:
    layers = [
        type("Layer", (), {"type": kind})() for kind in ("conv2d", "relu", "batchnorm2d", "relu", "conv2d", "relu")
    ]
    found = [(stage.start, stage.stop, stage.run is not None) for stage in CpuPlan().stages(layers, train=True)]
    assert found == [(0, 1, False), (1, 2, False), (2, 4, True), (4, 6, True)]


@pytest.mark.parametrize("name", ["relu norm pool", "winograd", "other pool"])
def test_compiled_loop_keeps_barriers_and_has_no_slow_operation(name: str) -> None:
    """What makes training on a CPU fast; an upgrade of XLA must not lose it unseen."""
    a, plan = architecture(name), CpuPlan()
    start = variables(a)

    def step(params: Any, key: jax.Array) -> tuple[Any, jax.Array]:
        def loss(params: Any) -> jax.Array:
            state = {**start, "params": params, "numbers": numbers_of(a)}
            y, _ = Network(a, plan).apply(state, images(a), train=True, rngs={"dropout": key}, mutable=["batch_stats"])
            return jnp.square(y).mean()

        value, gradients = jax.value_and_grad(loss)(params)
        return jax.tree.map(lambda p, g: p - 0.1 * g, params, gradients), value

    loop = jax.jit(
        lambda params, keys: lax.scan(step, params, keys), compiler_options=Network(a, plan).compiler_options
    )
    text = loop.lower(start["params"], jax.random.split(jax.random.key(0), 3)).compile().as_text()
    assert "while(" in text
    assert "opt-barrier(" in text
    assert " convolution(" not in text
    assert "select-and-scatter(" not in text


@pytest.mark.parametrize("shape", [(3, 5), (3, 2, 4, 5)])
def test_dropout_draws_the_same_mask_under_every_plan(shape: tuple[int, ...]) -> None:
    """`shape`: features, or an image channels first; what stays is scaled, and the rate is traced."""
    batch, *inner = shape
    values = jnp.ones((batch, *inner)) if len(shape) == 2 else jnp.ones((batch, *inner[1:], inner[0]))

    def dropped(plan: Plan, rate: jax.Array) -> jax.Array:
        x = plan.enter(values) if len(shape) == 4 else plan.flatten(plan.enter(values[:, :, None, None]))
        return plan.leave(plan.dropout(x, key=jax.random.key(1), rate=rate))

    mask = jax.jit(dropped, static_argnums=0)(XlaPlan(), 0.25)
    expected = jax.random.bernoulli(jax.random.key(1), 0.75, shape).reshape(batch, -1) / 0.75
    np.testing.assert_allclose(mask, expected, rtol=1e-6)
    np.testing.assert_array_equal(dropped(CpuPlan(), 0.25), mask)
    np.testing.assert_array_equal(dropped(CpuPlan(), 1.0), jnp.zeros(mask.shape))


@pytest.mark.parametrize("plan", [CpuPlan(), XlaPlan()], ids=lambda plan: plan.name)
def test_images_enter_as_bytes_or_fractions_and_leave_channels_first(plan: Plan) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 5)).astype(np.uint8)
    expected = pixels.transpose(0, 3, 1, 2).reshape(2, -1) / np.float32(255)
    np.testing.assert_allclose(plan.leave(plan.enter(jnp.asarray(pixels))), expected, rtol=1e-6)
    fractions = jnp.asarray(pixels / np.float32(255))
    np.testing.assert_allclose(plan.leave(plan.flatten(plan.enter(fractions))), expected, rtol=1e-6)


@pytest.mark.parametrize("plan", [CpuPlan(), XlaPlan()], ids=lambda plan: plan.name)
def test_softmax_sums_to_one_over_features_or_channels(plan: Plan) -> None:
    values = random(2, 3, 4, 5)
    image = plan.leave(plan.softmax(plan.enter(values))).reshape(2, 5, 3, 4)
    np.testing.assert_allclose(image.sum(1), 1, rtol=1e-5)
    features = plan.leave(plan.softmax(plan.flatten(plan.enter(values))))
    np.testing.assert_allclose(features.sum(1), 1, rtol=1e-5)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_gpu_computes_what_was_asked_for(precision: str) -> None:
    """Lowered for CUDA without a GPU: no TF32 where float32 was asked for, the same numbers every time, one graph."""
    a = architecture("relu norm pool")
    network = Network(a, plan_for("gpu", training=True, precision=precision))

    def loss(params: Any, state: Any) -> jax.Array:
        state = {**state, "params": params, "numbers": numbers_of(a)}
        return network.apply(state, images(a), train=True, mutable=["batch_stats"])[0].sum()

    start = variables(a)
    lowered = jax.jit(jax.grad(loss)).trace(start["params"], start).lower(lowering_platforms=("cuda",)).as_text()
    products = [line for line in lowered.splitlines() if "stablehlo.convolution" in line or "dot_general" in line]
    assert len(products) > 4
    if precision == "float32":
        assert all(line.count("HIGHEST") == 2 for line in products)
    else:
        convolutions = [line for line in products if "stablehlo.convolution" in line]
        assert all(line.count("xbf16>") == 3 for line in convolutions), "XLA computes wider results in TF32"
    assert "select_and_scatter" not in lowered and "stablehlo.scatter" not in lowered
    options = network.compiler_options or {}
    assert options["xla_gpu_exclude_nondeterministic_ops"] is True
    assert "WHILE" in str(options["xla_gpu_enable_command_buffer"])
    assert ("xla_gpu_force_conv_nchw" in options) == (precision == "float32")
    jax.jit(lambda x: x + 1, compiler_options=options).lower(jnp.ones(3)).compile()  # names and values that XLA knows


def test_plans_by_platform_and_use() -> None:
    for precision in ("float32", "bfloat16"):
        plan = plan_for("cpu", training=True, precision=precision)
        assert plan == CpuPlan(precision, product_unit(), native.available(precision))
    assert plan_for("cpu", training=False).name == "xla"
    assert plan_for("gpu", training=True).name == plan_for("tpu", training=True).name == "xla"
    assert hash(plan_for("cpu", training=True)) == hash(plan_for("cpu", training=True))
