"""Whole networks: the same numbers under every plan, fused or not, and what XLA makes of them."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from nets.architecture.architecture import Architecture
from nets.architecture.read import parse_architecture
from nets.kernels import Plan, cpu_plan, plan_for
from nets.kernels.cpu.machine import Machine, product_unit
from nets.kernels.cpu.native import conv as native
from nets.network import Network, numbers_of
from tests.nets.kernels.common import (
    CPU,
    OPTIONS,
    PRECISIONS,
    XLA,
    assert_near,
    assert_trained_alike,
    samples,
    trained,
    variables,
)
from tests.nets.kernels.random_networks import random_network


def conv(width: int, kernel: int = 3, **fields: Any) -> dict[str, Any]:
    return {"type": "conv2d", "out_channels": width, "kernel_size": kernel, "padding": "same", **fields}


RELU, NORM, FLAT = {"type": "relu"}, {"type": "batchnorm2d"}, {"type": "flatten"}
POOL = {"type": "maxpool2d", "kernel_size": 2}
HEAD = [FLAT, {"type": "linear", "out_features": 3}]
# Every fusion of the plan for CPUs, the sizes at which they give way, and neighbours that exchange phases, images, features.
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


# Those that take long to compile and meet few rows that no other meets are trained and evaluated by CI.
BY_CI = {
    *("pool twice", "norm pool at odd size", "norms", "winograd norm pool", "winograd at odd size", "tiles of strides"),
    *("strides of large kernels", "windows larger than the image", "norm relu pool", "winograd", "wide kernels"),
    *("residual", "dropout everywhere", "odd pool"),
}
EACH = [pytest.param(name, marks=pytest.mark.slow if name in BY_CI else ()) for name in NETWORKS]


@cache
def architecture(name: str) -> Architecture:
    (channels, height, width), layers = NETWORKS[name]
    shape = {"input_channels": channels, "input_height": height, "input_width": width}
    return parse_architecture({**shape, "layers": layers})


@pytest.mark.parametrize("name", EACH)
def test_training_is_the_same_under_every_plan(name: str) -> None:
    a = architecture(name)
    expected = trained(a, XLA["float32"])
    for plan in (CPU["float32"], replace(CPU["float32"], fusions=())):
        assert_trained_alike(trained(a, plan), expected)


@pytest.mark.parametrize("name", EACH)
def test_evaluation_is_the_same_under_every_plan(name: str) -> None:
    a = architecture(name)
    state = {**variables(a), "numbers": numbers_of(a.graph)}

    def logits(plan: Plan) -> jax.Array:
        network = Network(a.graph, plan)
        options = {**(network.compiler_options or {}), **OPTIONS}
        evaluate = jax.jit(lambda v: network.apply(v, samples(a), train=False), compiler_options=options)
        y: jax.Array = evaluate(state)
        return y

    assert_near([logits(CPU["float32"])], [logits(XLA["float32"])])


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["bfloat16"])
@pytest.mark.parametrize("name", NETWORKS)
def test_bfloat16_stays_near_float32(name: str, precision: str) -> None:
    """Logits within 5 % of the largest; the gradient as a whole within 15 %, its direction within a few degrees."""
    a = architecture(name)
    y, _, gradients = trained(a, XLA["float32"])
    exact = np.concatenate([np.ravel(g) for g in jax.tree.leaves(gradients)])
    for plan in (CPU[precision], XLA[precision]):
        found, _, narrow = trained(a, plan)
        assert_near([found], [y], 0.05)
        rounded = np.concatenate([np.ravel(g) for g in jax.tree.leaves(narrow)])
        assert np.linalg.norm(rounded - exact) < 0.15 * np.linalg.norm(exact)


@pytest.mark.parametrize("name", ["relu norm pool", pytest.param("winograd", marks=pytest.mark.slow), "other pool"])
def test_compiled_loop_keeps_barriers_and_has_no_slow_operation(name: str) -> None:
    """What makes training on a CPU fast; an upgrade of XLA must not lose it unseen."""
    a, plan = architecture(name), CPU["float32"]
    start = variables(a)

    def step(params: Any, key: jax.Array) -> tuple[Any, jax.Array]:
        def loss(params: Any) -> jax.Array:
            state = {**start, "params": params, "numbers": numbers_of(a.graph)}
            y, _ = Network(a.graph, plan).apply(
                state, samples(a), train=True, rngs={"dropout": key}, mutable=["batch_stats"]
            )
            return jnp.square(y).mean()

        value, gradients = jax.value_and_grad(loss)(params)
        return jax.tree.map(lambda p, g: p - 0.1 * g, params, gradients), value

    loop = jax.jit(
        lambda params, keys: lax.scan(step, params, keys), compiler_options=Network(a.graph, plan).compiler_options
    )
    text = loop.lower(start["params"], jax.random.split(jax.random.key(0), 3)).compile().as_text()
    assert "while(" in text
    assert "opt-barrier(" in text
    assert " convolution(" not in text
    assert "select-and-scatter(" not in text


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_gpu_computes_what_was_asked_for(precision: str) -> None:
    """Lowered for CUDA without a GPU: no TF32 where float32 was asked for, the same numbers every time, one graph."""
    a = architecture("relu norm pool")
    network = Network(a.graph, plan_for("gpu", training=True, precision=precision))

    def loss(params: Any, state: Any) -> jax.Array:
        state = {**state, "params": params, "numbers": numbers_of(a.graph)}
        return network.apply(state, samples(a), train=True, mutable=["batch_stats"])[0].sum()

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
        machine = Machine(precision, product_unit(), native.available(precision))
        assert plan == cpu_plan(machine)
        without = plan_for("cpu", training=True, precision=precision, kernels="products")
        assert without == cpu_plan(replace(machine, native=False))
        assert plan_for("cpu", training=True, precision=precision, kernels="xla") == XLA[precision]
    assert plan_for("cpu", training=False).name == "xla"
    assert plan_for("gpu", training=True).name == plan_for("tpu", training=True).name == "xla"
    assert hash(plan_for("cpu", training=True)) == hash(plan_for("cpu", training=True))


def gradient(a: Architecture, plan: Plan, batch: int) -> np.ndarray:
    """That of all parameters, as one vector."""
    *_, gradients = trained(a, plan, batch)
    return np.concatenate([np.ravel(g) for g in jax.tree.leaves(gradients)])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(40))
def test_a_network_that_nobody_chose_trains_the_same_under_every_plan(seed: int) -> None:
    """float32 to rounding, which norms of few values multiply; bfloat16 hardly farther from it than XLA's own."""
    choose = random.Random(seed)
    a, batch = random_network(choose), choose.choice([8, 33, 61, 64])
    exact = gradient(a, XLA["float32"], batch)

    def error(plan: Plan) -> float:
        return float(np.linalg.norm(gradient(a, plan, batch) - exact) / np.linalg.norm(exact))

    plain, rounded = ({CPU[name], plan_for("cpu", training=True, precision=name)} for name in PRECISIONS)
    assert all(error(plan) < 1e-3 for plan in plain)
    most = 0.1 + 2 * error(XLA["bfloat16"])
    assert all(error(plan) < most for plan in rounded)
