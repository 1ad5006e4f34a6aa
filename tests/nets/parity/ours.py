"""A case computed by Lamina: as a network whose inputs are cut from one vector, by any plan."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from nets.architecture.architecture import Architecture
from nets.architecture.expand import expand
from nets.architecture.graph import Graph
from nets.architecture.read import Reader
from nets.architecture.resolve import resolve
from nets.errors import Problem
from nets.exchange.named import declared_arrays, named_arrays
from nets.kernels.plan import Plan
from nets.layers.base import Bound, Layer
from nets.layers.parameters import Parameter
from nets.network import Network, numbers_of
from nets.spec.values import Value, features, kind_of
from tests.nets.parity.case import Arrays, Case, Json, Tokens, array_of, cotangent_of, inputs_of

ONLY = "it"  # the name of a layer that is the whole case


class Source(Layer):
    """One input of a case: cut from the vector of all of them."""

    type: Literal["source"] = "source"
    start: int
    shape: tuple[int, ...]
    vocabulary: int | None = None

    def output(self, *inputs: Value) -> Value:
        kind = "tokens" if self.vocabulary else kind_of(self.shape)
        return Value(kind, self.shape, self.vocabulary)

    def apply(self, bound: Bound, *xs: jax.Array) -> jax.Array:
        cut = xs[0][:, self.start : self.start + math.prod(self.shape)].reshape(-1, *self.shape)
        if bound.gives.kind == "tokens":
            return cut.astype(jnp.int32)
        return cut.transpose(0, 2, 3, 1) if bound.gives.kind == "image" else cut


def network_of(case: Case) -> Architecture:
    """The case as a network: its sources, its layers, and all that comes out as one vector."""
    shapes = [(shape.length,) if isinstance(shape, Tokens) else shape for shape in case.takes]
    starts = np.cumsum([0, *map(math.prod, shapes)]).tolist()
    listed: list[Json] = [
        {"type": "source", "name": f"source {place}", "inputs": "input", "start": starts[place], "shape": shape}
        | ({"vocabulary": case.takes[place].vocabulary} if isinstance(case.takes[place], Tokens) else {})
        for place, shape in enumerate(shapes)
    ]
    layers = case.layers if isinstance(case.layers, list) else [{"name": ONLY, **case.layers}]
    named = [{"name": str(place), **layer} for place, layer in enumerate(layers)]
    named[0] = {"inputs": [source["name"] for source in listed], **named[0]}
    problems: list[Problem] = []
    reader = Reader(("case",), problems, most=256)
    reader.kinds["source"] = Source
    body = reader.whole([*listed, *named, {"type": "flatten", "name": "end"}])
    given = features(starts[-1])
    found = resolve(given, body, expand(body), path=("case",), problems=problems)
    told = [str(problem) for problem in problems if "must have a layer with weights" not in problem.detail]
    assert not told, told
    return Architecture(Graph(given, tuple(found.nodes.values())), (), {}, ())


def theirs(case: Case, name: str) -> str:
    """PyTorch's name of an array that `layout=torch` calls so."""
    return case.names.get(name, name.removeprefix(f"{ONLY}."))


def arrays_of(name: str, case: Case, network: Architecture) -> dict[str, Any]:
    """The arrays of the network, each drawn by PyTorch's name."""
    found: dict[str, Any] = {}
    for (collection, layer, key), declared in declared_arrays(network).items():
        if layer == "input":
            value = np.zeros(declared.shape) if key == "mean" else np.ones(declared.shape)
        else:
            value = ours(array_of(name, theirs(case, f"{layer}.{declared.torch or key}"), shape_of(declared)), declared)
        found.setdefault(collection, {}).setdefault(layer, {})[key] = jnp.asarray(value, jnp.float32)
    return found


def shape_of(declared: Parameter) -> tuple[int, ...]:
    """An array's shape in PyTorch."""
    *window, comes, goes = declared.shape if declared.turned else (*declared.shape, 0, 0)
    return (goes, comes, *window) if declared.turned else declared.shape


def ours(value: np.ndarray, declared: Parameter) -> np.ndarray:
    """PyTorch's array as we have it."""
    return np.moveaxis(value, (0, 1), (-1, -2)) if declared.turned else value


def given_by(name: str, case: Case, plan: Plan) -> Arrays:
    """The same as PyTorch's recording, by the names that it has there."""
    network = network_of(case)
    variables = arrays_of(name, case, network)
    parameters = variables.pop("params", {})
    vector = jnp.asarray(np.concatenate([x.reshape(case.batch, -1) for x in inputs_of(name, case)], 1), jnp.float32)
    cotangent = jnp.asarray(cotangent_of(name, (case.batch, network.graph.output.size)))
    module = Network(network.graph, plan)

    def run(parameters: Any, variables: Any, vector: jax.Array, cotangent: jax.Array) -> Any:
        """All modes in one program: that compiles in less time than two."""
        return {mode: way(parameters, variables, vector, cotangent, mode == "train") for mode in case.modes}

    def way(parameters: Any, variables: Any, vector: jax.Array, cotangent: jax.Array, train: bool) -> Any:
        def forward(parameters: Any, vector: jax.Array) -> Any:
            held = {**variables, "params": parameters, "numbers": numbers_of(network.graph)}
            rngs = {"dropout": jax.random.key(0)}
            y, changed = module.apply(held, vector, train=train, mutable=["batch_stats"], rngs=rngs)
            return y, changed

        y, back, changed = jax.vjp(forward, parameters, vector, has_aux=True)
        return y, back(cotangent), changed["batch_stats"]

    compiled = jax.jit(run, compiler_options=module.compiler_options)(parameters, variables, vector, cotangent)
    found: Arrays = {}
    for mode, (y, (of_arrays, of_vector), changed) in compiled.items():
        found[f"{mode} output"] = np.asarray(y)
        starts = np.cumsum([0, *(x[0].size for x in inputs_of(name, case))])
        for place, shape in enumerate(case.takes):
            if not isinstance(shape, Tokens):
                found[f"{mode} gradient of input {place}"] = np.asarray(of_vector)[:, starts[place] : starts[place + 1]]
        for kind, key, value in told(case, network, {"params": of_arrays, "batch_stats": changed}):
            if kind == "params":
                found[f"{mode} gradient of {key}"] = value
            elif mode == "train":
                found[f"train statistic {key}"] = value
    return found


def told(case: Case, network: Architecture, variables: dict[str, Any]) -> Iterator[tuple[str, str, np.ndarray]]:
    """The arrays by collection and PyTorch's name, in PyTorch's shape."""
    named = named_arrays(network, variables, layout="torch")
    for (collection, layer, _), (key, value) in zip(declared_arrays(network), named.items(), strict=True):
        if layer != "input":
            yield collection, theirs(case, key), value
