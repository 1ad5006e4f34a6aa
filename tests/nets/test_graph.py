"""Random graphs in computation: the logits that are told, the same numbers under every plan, nothing that never moves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from nets.architecture.architecture import Architecture
from nets.architecture.graph import Graph, Node
from nets.architecture.read import parse_architecture
from nets.kernels import Plan, plan_for
from nets.layers.activation import Softmax
from nets.layers.base import Layer
from nets.layers.linear import Linear
from nets.layers.merge import Add, Average, Concat, Subtract
from nets.layers.norm import BatchNorm
from nets.layers.shape import Flatten
from nets.network import Network, Variables, initial_variables, numbers_of
from tests.nets.graphs import bodies
from tests.nets.kernels.common import CPU, PRECISIONS, XLA, assert_trained_alike, samples, trained

BATCH = 8
# Tried where a parameter does not move: some weights leave a relu, or all but one input of a maximum, without effect.
OTHER_SEEDS = (2, 3, 4, 5)
MOST_LAYERS = 24  # of a network that is compiled
QUICK = settings(
    phases=[Phase.generate],  # a smaller network would take minutes to find
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
PLANS = (
    *CPU.values(),
    *XLA.values(),
    *(plan_for("cpu", training=True, precision=precision) for precision in PRECISIONS),
    plan_for("gpu", training=True),
    plan_for("tpu", training=True, precision="bfloat16"),
)


def small_bodies(*axes: int) -> st.SearchStrategy[Any]:
    """On inputs of so many axes: images have three, sequences two, features one."""
    return bodies().filter(
        lambda body: len(body["input_shape"]) in axes and len(parse_architecture(body).graph.nodes) <= MOST_LAYERS
    )


@settings(QUICK, max_examples=6)
@given(small_bodies(1, 2, 3))
def test_logits_have_the_shape_that_is_told(body: Any) -> None:
    a = parse_architecture(body)
    state = {**initial_variables(a.graph, seed=0), "numbers": numbers_of(a.graph)}
    for plan in PLANS:
        network = Network(a.graph, plan)
        for train in (True, False):

            def apply(state: Variables, train: bool = train, network: Network = network) -> Any:
                rngs = {"dropout": jax.random.key(0)}
                return network.apply(state, samples(a, BATCH), train=train, rngs=rngs, mutable=["batch_stats"])

            logits, changed = jax.eval_shape(apply, state)
            assert logits.shape == (BATCH, *a.graph.output.shape) == (BATCH, a.graph.classes)
            assert logits.dtype == jnp.float32
            assert jax.tree.map(jnp.shape, changed.get("batch_stats", {})) == jax.tree.map(
                jnp.shape, state["batch_stats"]
            )


def start_of(a: Architecture, *, seed: int = 1) -> Variables:
    """Weights as they are drawn, inputs that are standardised."""
    grey = {"mean": jnp.full(a.graph.input.channels, 0.5), "std": jnp.full(a.graph.input.channels, 0.3)}
    numbers = {"mean": jnp.zeros(a.graph.input.channels), "std": jnp.ones(a.graph.input.channels)}
    return initial_variables(a.graph, seed=seed, statistics=grey if a.graph.input.kind == "image" else numbers)


def check(a: Architecture, *more: Plan) -> None:
    """One step of training by each plan."""
    start = start_of(a)
    expected = trained(a, XLA["float32"], BATCH, start=start)
    for plan in (CPU["float32"], replace(CPU["float32"], fusions=()), *more):
        assert_trained_alike(trained(a, plan, BATCH, start=start), expected, of_all=1e-5)
    still = set(with_effect(a.graph)) & unmoved(expected[2])
    for seed in OTHER_SEEDS if still else ():
        still &= unmoved(trained(a, XLA["float32"], BATCH, start=start_of(a, seed=seed))[2])
    assert not still


def unmoved(gradients: Any) -> set[str]:
    return {f"{node}.{name}" for node, arrays in gradients.items() for name, g in arrays.items() if not g.any()}


@pytest.mark.slow
@pytest.mark.parametrize("axes", [1, 2, 3])
@settings(QUICK, max_examples=4)
@given(data=st.data())
def test_a_step_moves_every_parameter_and_is_the_same_under_every_plan(axes: int, data: st.DataObject) -> None:
    check(parse_architecture(data.draw(small_bodies(axes))))


@pytest.mark.slow
@settings(QUICK, max_examples=60)
@given(small_bodies(1, 2, 3))
def test_a_step_of_many_networks(body: Any) -> None:
    check(parse_architecture(body), plan_for("cpu", training=True))


def with_effect(graph: Graph) -> Iterator[str]:
    """Parameters that a step moves: all but biases that a norm takes away again, and what ends in a constant."""
    for node in graph.nodes:
        for name in node.layer.arrays(*node.takes).parameters:
            if reaches(graph, node) and not (name == "bias" and is_taken_away(graph, node)):
                yield f"{node.shares or node.id}.{name}"


CARRIES_ON: tuple[type[Layer], ...] = (Linear, Add, Average, Subtract, Concat, Flatten)  # what is equal for all samples


def is_taken_away(graph: Graph, node: Node) -> bool:
    """Whether a number added to all samples ends in norms alone."""
    readers = graph.readers[node.id]
    return bool(readers) and all(
        isinstance(reader.layer, BatchNorm) or (isinstance(reader.layer, CARRIES_ON) and is_taken_away(graph, reader))
        for reader in readers
    )


def reaches(graph: Graph, node: Node) -> bool:
    """Whether any of its numbers gets to the logits: a softmax of one channel gives 1 whatever comes."""
    if node.id == graph.logits:
        return True
    return any(
        not (isinstance(reader.layer, Softmax) and reader.gives.channels == 1) and reaches(graph, reader)
        for reader in graph.readers[node.id]
    )
