"""Networks around the examples of layer types, and what they compute by every plan, each compiled as one program."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from nets.architecture.architecture import Architecture
from nets.architecture.read import parse_architecture
from nets.kernels import Plan, plan_for
from nets.layers import LAYERS
from nets.layers.base import Bound, Example, Layer
from nets.layers.parameters import Arrays, weights
from nets.network import Network, Variables, initial_variables, numbers_of
from nets.spec.values import Kind, Shape, Value
from tests.nets.builders import input_of
from tests.nets.kernels.common import OPTIONS, random

EXAMPLES = {f"{name}-{i}": example for name, cls in LAYERS.items() for i, example in enumerate(cls.examples)}
BATCH, PLACE = 6, 2  # samples, and the one of them that is computed alone, too
CLASSES = 3
# Computed here: those that train on a CPU and those that answer there. The others are only traced.
PLANS = {"cpu": True, "xla": False}
QUICKLY = {**OPTIONS, "xla_llvm_disable_expensive_passes": True}

Json = dict[str, Any]
Trained = tuple[Array, Any, Any]


def plan(name: str, precision: str = "float32") -> Plan:
    return plan_for("cpu", training=PLANS[name], precision=precision)


class Made(Layer):
    """A value of any kind and size by one product: what an example is given that no plain layer gives."""

    type: Literal["made"] = "made"
    kind: Kind
    shape: Shape

    takes: ClassVar[tuple[Kind, ...]] = ("features", "image", "sequence", "tokens")

    def output(self, *inputs: Value) -> Value:
        return Value(self.kind, self.shape)

    def arrays(self, *inputs: Value) -> Arrays:
        return weights((inputs[0].size, self.output().size), outputs=self.output().size, bias=True)

    def apply(self, bound: Bound, *xs: Array) -> Array:
        rows = xs[0].reshape(bound.batch, -1).astype(jnp.float32)
        y = bound.numerics.dot(rows, bound.param("kernel")) + bound.param("bias")
        return y.reshape(bound.batch, *bound.gives.canonical)


def around(example: Example) -> Architecture:
    """A network in which trained layers give `example` its own values, the last but two of its layers."""
    given = source_of(example)
    sources = [made(value, given, f"source {place}") for place, value in enumerate(example.takes)]
    return with_end(given, [each for each in sources if each], {**example.json, "inputs": names(sources)})


def alone(example: Example) -> Architecture:
    """The same without them where it has one input."""
    if len(example.takes) > 1:
        return around(example)
    return with_end(example.takes[0], [], dict(example.json))


def source_of(example: Example) -> Value:
    """What goes into the network: tokens where the example takes any, which nothing else can give."""
    return next((value for value in example.takes if value.kind == "tokens"), example.takes[0])


def names(sources: list[Json | None]) -> list[str]:
    return [each["name"] if each else "input" for each in sources]


def made(value: Value, given: Value, name: str) -> Json | None:
    """A layer that makes one value of what goes in; None for tokens, which go in."""
    if value.kind == "tokens":
        assert value == given, "all tokens of an example are alike"
        return None
    if value.kind == given.kind == "image" and value.shape[1:] == given.shape[1:]:
        layer: Json = {"type": "conv2d", "out_channels": value.shape[0], "kernel_size": 1}
    elif value.kind == given.kind and value.shape[:-1] == given.shape[:-1]:
        layer = {"type": "linear", "out": value.shape[-1]}
    else:
        layer = {"type": "made", "kind": value.kind, "shape": list(value.shape)}
    return {**layer, "inputs": ["input"], "name": name}


def with_end(given: Value, sources: list[Json], layer: Json) -> Architecture:
    end = [{"type": "flatten"}, {"type": "linear", "out": CLASSES}]
    return parse_architecture({**input_of(given), "layers": [*sources, layer, *end]})


def samples(value: Value, batch: int = BATCH) -> np.ndarray:
    """What a network takes, about as spread as it is once it is standardised."""
    draws = np.random.default_rng(5)
    if value.kind == "tokens":
        return draws.integers(0, value.vocabulary or 2, (batch, *value.canonical), np.int32)
    return draws.normal(size=(batch, *value.canonical)).astype(np.float32)


def start_of(a: Architecture) -> Variables:
    """Weights of which nothing is zero or one any more; variances stay above zero."""
    found = initial_variables(a.graph, seed=1)
    draws = np.random.default_rng(3)
    # By NumPy: an operation on arrays of JAX is compiled for every shape.
    params = jax.tree.map(
        lambda v: np.asarray(v) + 0.5 * draws.normal(size=v.shape).astype(np.float32), found["params"]
    )
    return {**found, "params": params, "numbers": numbers_of(a.graph)}


def shape_under(a: Architecture, plan: Plan, *, train: bool) -> Shape:
    """What comes out, without computing it."""

    def apply(state: Variables, xs: Array) -> Array:
        rngs = {"dropout": jax.random.key(0)}
        logits, _ = Network(a.graph, plan).apply(state, xs, train=train, rngs=rngs, mutable=["batch_stats"])
        return logits

    shape: Shape = jax.eval_shape(apply, start_of(a), samples(a.graph.input)).shape
    return shape


def trained(a: Architecture, plan: Plan, state: Variables, xs: Array) -> Trained:
    """(logits, changed statistics, gradients of the parameters and of what comes in, unless that is tokens)."""
    network, rngs = Network(a.graph, plan), {"dropout": jax.random.key(2)}

    def loss(params: Any, xs: Array) -> tuple[Array, Any]:
        y, changed = network.apply({**state, "params": params}, xs, train=True, rngs=rngs, mutable=["batch_stats"])
        return (y * random(*y.shape, seed=4)).sum(), (y, changed.get("batch_stats", {}))

    asked = (0,) if a.graph.input.kind == "tokens" else (0, 1)
    gradients, (y, statistics) = jax.grad(loss, asked, has_aux=True)(state["params"], xs)
    return y, statistics, gradients


def evaluated(a: Architecture, plan: Plan, state: Variables, xs: Array) -> Array:
    logits: Array = Network(a.graph, plan).apply(state, xs, train=False)
    return logits


@dataclass(frozen=True)
class Outcome:
    """What an example computes.

    network: in which it gets its values from trained layers. trained: a step of it, by plan. evaluated: logits without
    such layers. rounded: the same in bfloat16, by plan. one: those of one sample that comes by itself.
    """

    example: Example
    network: Architecture
    trained: dict[str, Trained]
    evaluated: Array
    rounded: dict[str, Array]
    one: Array


def outcome(example: Example, *, rounded: Sequence[str] = tuple(PLANS)) -> Outcome:
    """rounded: the plans that compute it in bfloat16."""
    whole, bare = around(example), alone(example)

    def program(state: Variables, xs: Array, bare_state: Variables, bare_xs: Array) -> Any:
        exact, one = plan("xla"), bare_xs[PLACE : PLACE + 1]
        return (
            {name: trained(whole, plan(name), state, xs) for name in PLANS},
            evaluated(bare, exact, bare_state, bare_xs),
            {name: evaluated(bare, plan(name, "bfloat16"), bare_state, bare_xs) for name in rounded},
            evaluated(bare, exact, bare_state, one),
        )

    arguments = start_of(whole), samples(whole.graph.input), start_of(bare), samples(bare.graph.input)
    # On the host: what a test asks of arrays of JAX would be compiled for every shape.
    return Outcome(example, whole, *jax.device_get(jax.jit(program, compiler_options=QUICKLY)(*arguments)))
