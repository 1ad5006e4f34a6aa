"""Architectures as a whole: networks of the literature, and random ones of every form, from JSON to graph and back."""

from __future__ import annotations

import json
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from hypothesis import HealthCheck, given, settings

from nets.architecture.graph import INPUT, Graph, Node
from nets.architecture.read import parse_architecture
from nets.errors import SpecError
from nets.layers.base import CANONICAL, Bound, Cell
from nets.numerics.numerics import Numerics
from nets.spec.values import Value
from tests.nets.graphs import bodies, broken_bodies, undecorated
from tests.nets.networks import NETWORKS

BATCH = 2
QUICK = settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


def canonical_shape(value: Value) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct((BATCH, *value.canonical), jnp.float32)


def shape_of(node: Node) -> tuple[int, ...]:
    """Of what `apply` gives, traced and not computed."""
    arrays = node.layer.arrays(*node.takes)
    params = {name: jax.ShapeDtypeStruct(p.shape, jnp.float32) for name, p in arrays.parameters.items()}
    moving = {name: jax.ShapeDtypeStruct(p.shape, jnp.float32) for name, p in arrays.statistics.items()}

    def apply(params: Any, moving: Any, xs: Any) -> Any:
        bound = Bound(
            layer=node.layer,
            takes=node.takes,
            gives=node.gives,
            train=True,
            batch=BATCH,
            numerics=Numerics(),
            params=params,
            statistics={name: Cell(value) for name, value in moving.items()},
            numbers={name: jnp.float32(number) for name, number in node.layer.numbers().items()},
            random_key=jax.random.key(0),
            axes=CANONICAL[node.takes[0].kind],
        )
        return node.layer.apply(bound, *xs)

    shape: tuple[int, ...] = jax.eval_shape(apply, params, moving, [canonical_shape(v) for v in node.takes]).shape
    return shape


def check(graph: Graph) -> None:
    """Every node runs behind what it reads, takes what that gives, and gives what it says."""
    values = {INPUT: graph.input}
    for node in graph.nodes:
        assert node.takes == tuple(values[name] for name in node.inputs)
        assert shape_of(node) == (BATCH, *node.gives.canonical), node.id
        values[node.id] = node.gives
    assert len(values) == len(graph.nodes) + 1
    assert [node.id for node in graph.nodes if not graph.readers[node.id]] == [graph.last.id]


@pytest.mark.parametrize(("body", "parameters"), NETWORKS.values(), ids=NETWORKS)
def test_networks_of_the_literature_have_the_parameters_that_they_should(body: Any, parameters: int) -> None:
    a = parse_architecture(body)
    assert a.parameters == parameters
    check(a.graph)
    written = json.loads(json.dumps(a.to_json()))
    assert parse_architecture(written) == a
    assert parse_architecture(written).to_json() == written


@QUICK
@given(bodies())
def test_values_are_those_that_come_out(body: Any) -> None:
    check(parse_architecture(body).graph)


@settings(QUICK, max_examples=40)
@given(bodies())
def test_canonical_json_is_the_same_network_and_its_own_canonical_json(body: Any) -> None:
    a = parse_architecture(body)
    written = json.loads(json.dumps(a.to_json(), allow_nan=False))
    again = parse_architecture(written)
    assert again == a and hash(again) == hash(a)
    assert again.to_json() == written
    assert [(n.id, n.draw, n.turn, n.path) for n in again.graph.nodes] == [
        (n.id, n.draw, n.turn, n.path) for n in a.graph.nodes
    ]
    assert parse_architecture({**body, "layers": undecorated(body["layers"])}) == a


@settings(QUICK, max_examples=40)
@given(broken_bodies())
def test_whatever_comes_is_a_network_or_a_list_of_problems(body: Any) -> None:
    try:
        a = parse_architecture(body)
    except SpecError as error:
        assert all(problem.place and problem.detail and problem.pointer for problem in error.problems)
        return
    assert a.parameters > 0 and a.flops >= 0 and a.summary_name()
    assert parse_architecture(json.loads(json.dumps(a.to_json()))) == a
