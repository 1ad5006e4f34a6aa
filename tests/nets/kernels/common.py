"""What the tests of kernels share: random arrays, functions and networks with their gradients, how near is near."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import assume, settings
from hypothesis import strategies as st
from jax import lax

from nets.architecture.architecture import Architecture
from nets.kernels import Plan, XlaPlan, cpu_plan
from nets.kernels.cpu.gemm import OPTIONS_OF_IMAGES
from nets.kernels.cpu.layouts import zero_pad
from nets.kernels.cpu.machine import Machine
from nets.kernels.cpu.problem import ConvProblem
from nets.network import Network, Variables, initial_variables, numbers_of
from nets.numerics.numerics import Numerics
from nets.numerics.windows import Geometry

F32, BF16 = jnp.float32, jnp.bfloat16
# Two operands rounded to eight bits each; sums over few hundred terms of random sign.
BF16_BOUND = 0.02
# Compilation is nearly all that these tests cost; the code that comes out may be slow.
OPTIONS = {**OPTIONS_OF_IMAGES, "xla_backend_optimization_level": "0"}
PRECISIONS = ("float32", "bfloat16")
CPU = {precision: cpu_plan(Machine(precision)) for precision in PRECISIONS}
XLA = {precision: XlaPlan(Numerics(precision)) for precision in PRECISIONS}
few = settings(max_examples=8, deadline=None, derandomize=True)


def random(*shape: int, seed: int = 0) -> jax.Array:
    return jnp.asarray(np.random.default_rng([seed, *shape]).normal(size=shape), jnp.float32)


def pairs(least: int, most: int) -> st.SearchStrategy[tuple[int, int]]:
    """Something for rows and for columns."""
    return st.tuples(st.integers(least, most), st.integers(least, most))


@st.composite
def convolutions(
    draw: st.DrawFn, *, groups: st.SearchStrategy[int]
) -> tuple[tuple[int, ...], tuple[int, ...], Geometry]:
    """(shape of x, shape of the kernel, geometry) with at least one place for the kernel."""
    at = Geometry(draw(pairs(1, 3)), (draw(pairs(0, 3)), draw(pairs(0, 3))), draw(pairs(1, 2)), draw(groups))
    window, size = draw(pairs(1, 5)), draw(pairs(3, 9))
    assume(min(at.places(size, window)) >= 1)
    depth, outputs = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    return (depth * at.groups, *size, 2), (*window, depth, outputs * at.groups), at


def value_and_gradients(function: Callable[..., jax.Array], *arguments: Any) -> list[jax.Array]:
    """The result and its gradients under a fixed random cotangent, compiled as one program."""

    def both(*arguments: Any) -> Any:
        y, pull = jax.vjp(function, *arguments)
        return y, pull(random(*y.shape, seed=7))

    return jax.tree.leaves(jax.jit(both, compiler_options=OPTIONS)(*arguments))


def assert_near(found: list[jax.Array], expected: list[jax.Array], tolerance: float = 1e-5) -> None:
    """Each array within `tolerance` of the largest value of its expected one."""
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.shape == theirs.shape
        scale = max(float(np.abs(theirs).max()), 1e-3)  # by NumPy: XLA would compile it for every shape
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance * scale)


def problem(
    kernel: tuple[int, ...],
    at: Geometry = Geometry(),  # noqa: B008
    size: tuple[int, int] = (14, 14),
    batch: int = 64,
    *,
    machine: Machine = Machine(),  # noqa: B008
) -> ConvProblem:
    """Without native kernels unless `machine` has them."""
    return ConvProblem.of(kernel, at, size, batch, machine)


def lax_conv(x: jax.Array, kernel: jax.Array, at: Geometry) -> jax.Array:
    """XLA's convolution of `[channels, height, width, batch]` images.

    The zeros around an image are laid by themselves: where a window fits into them, the gradient of XLA's convolution
    (JAX 0.10, CPU) reads past its operands.
    """
    return lax.conv_general_dilated(
        zero_pad(x, *at.padding),
        kernel,
        at.stride,
        "VALID",
        rhs_dilation=at.dilation,
        dimension_numbers=("CHWN", "HWIO", "CHWN"),
        feature_group_count=at.groups,
    )


def assert_equals_xlas(
    ours: Callable[[jax.Array, jax.Array], jax.Array],
    x_shape: tuple[int, ...],
    kernel_shape: tuple[int, ...],
    at: Geometry,
    tolerance: float = 1e-5,
) -> None:
    """`ours`, a convolution of random arrays, and its gradients."""
    x, kernel = random(*x_shape), random(*kernel_shape)
    found = value_and_gradients(ours, x, kernel)
    assert all(array.dtype == F32 for array in found)
    assert_near(found, value_and_gradients(lambda x, kernel: lax_conv(x, kernel, at), x, kernel), tolerance)


def samples(a: Architecture, batch: int = 8) -> jax.Array:
    """What a network takes: grey values of images, numbers around 0."""
    value = a.graph.input
    if value.kind != "image":
        return random(batch, *value.canonical, seed=5)
    return jnp.asarray(np.random.default_rng(5).integers(0, 256, (batch, *value.canonical)), jnp.uint8)


def variables(a: Architecture) -> Variables:
    """Scales of both signs and biases other than zero."""
    found = initial_variables(a.graph, seed=1)
    return jax.tree_util.tree_map_with_path(
        lambda path, v: v + 0.5 * random(*v.shape, seed=len(path)) if v.ndim == 1 and path[0].key == "params" else v,
        found,
    )


def trained(
    a: Architecture, plan: Plan, batch: int = 8, *, start: Variables | None = None
) -> tuple[jax.Array, Any, Any]:
    """(logits, running statistics, gradients of the parameters) of one batch, by the variables that it starts with."""
    start, key = variables(a) if start is None else start, jax.random.key(2)
    network = Network(a.graph, plan)

    def loss(params: Any) -> tuple[jax.Array, Any]:
        state = {**start, "params": params, "numbers": numbers_of(a.graph)}
        y, changed = network.apply(state, samples(a, batch), train=True, rngs={"dropout": key}, mutable=["batch_stats"])
        return (y * random(*y.shape, seed=4)).sum(), (y, changed.get("batch_stats", {}))

    options = {**(network.compiler_options or {}), **OPTIONS}
    gradients, (y, statistics) = jax.jit(jax.grad(loss, has_aux=True), compiler_options=options)(start["params"])
    return y, statistics, gradients


def assert_trained_alike(
    found: tuple[jax.Array, Any, Any], expected: tuple[jax.Array, Any, Any], *, of_all: float = 2e-6
) -> None:
    """What two ways of training a network give.

    Gradients that cancel to nothing (biases before a norm) may differ by a share of the largest of all, `of_all`; norms
    of few values of little spread multiply rounding errors.
    """
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    assert_near(jax.tree.leaves(found[:2]), jax.tree.leaves(expected[:2]))
    gradients = jax.tree.leaves(expected[2])
    largest = max(float(np.abs(g).max()) for g in gradients)
    for ours, theirs in zip(jax.tree.leaves(found[2]), gradients, strict=True):
        most = max(2e-5 * float(np.abs(theirs).max()), of_all * largest)
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=most)
