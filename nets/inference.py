"""Answering with a trained network: weights stay on the default device, one program per size of a batch."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Shaped

from nets.architecture.architecture import Architecture
from nets.architecture.graph import Graph
from nets.kernels import Choice, XlaPlan, plan_for
from nets.losses.embedding import nearness
from nets.network import Network, Variables, numbers_of
from nets.process.devices import default_device
from nets.views import averaged

LARGEST_BATCH = 256  # where the plan does not ask for fewer
KEPT = 64  # compiled forms, two for each network

Inputs = Shaped[np.ndarray, "batch ..."]
Probabilities = Float[np.ndarray, "batch classes"]


def read(
    network: Network,
    views: str | None,
    variables: Variables,
    inputs: Shaped[Array, "b ..."],
    count: Int[Array, ""] | int,
) -> Float[Array, "b classes"]:
    """Probabilities of `inputs`, of which the first `count` are asked for: the logits, softmaxed once.

    A network that ends in an embedding is read by how near the means of the classes are, where `variables` have them.
    """
    classes = variables.get("classes")
    held = {name: each for name, each in variables.items() if name != "classes"}
    counted = jnp.arange(len(inputs)) < count if network.graph.compares else None

    def logits_of(inputs: Array) -> Array:
        logits: Array = network.apply(held, inputs, train=False, counted=counted)
        return logits

    logits = averaged(logits_of, inputs, views)
    return jax.nn.softmax(logits if classes is None else nearness(logits, classes), axis=-1)


def reader(
    graph: Graph, platform: str, precision: str, kernels: Choice, views: str | None = None, *, many: bool
) -> Any:
    """The compiled form of `read`. `many`: for full batches."""
    # On a CPU the kernels that training uses answer many images twice as fast, and one more slowly.
    plan = plan_for(platform, training=many, precision=precision, kernels=kernels)
    if isinstance(plan, XlaPlan) and platform == "cpu":
        plan = replace(plan, numerics=replace(plan.numerics, widened=True))
    network = Network(graph, plan)
    return jax.jit(partial(read, network, views), compiler_options=network.compiler_options)


class Readers:
    """The most recently used compiled forms; networks of one structure share theirs. Safe to use from many threads."""

    def __init__(self, *, kept: int = KEPT) -> None:
        self.of = lru_cache(maxsize=kept)(reader)


class Predictor:
    """One trained network, ready to answer. Safe to use from many threads.

    precision, views: those of its training, so that it answers as it was measured. kernels: as in `plan_for`.
    readers: those shared with other networks. device: where it answers, by default on JAX's first one.
    """

    def __init__(
        self,
        architecture: Architecture,
        variables: Variables,
        *,
        precision: str = "float32",
        views: str | None = None,
        kernels: Choice = "auto",
        readers: Readers | None = None,
        device: jax.Device | None = None,
    ) -> None:
        where = device or default_device()
        platform, structure = where.platform, architecture.graph.structure
        self.architecture = architecture
        # Without a device named nothing is tied to one, as JAX has it.
        self.variables = jax.device_put({**variables, "numbers": numbers_of(architecture.graph)}, device)
        exact = precision == "float32"
        self.rounded = self.variables if exact else with_operands_of(self.variables, architecture.graph, precision)
        plan = plan_for(platform, training=True, precision=precision, kernels=kernels)
        self.largest = plan.evaluation_batch or LARGEST_BATCH
        readers = readers or Readers()
        self.few = readers.of(structure, platform, precision, kernels, views, many=False)
        self.many = readers.of(structure, platform, precision, kernels, views, many=True)

    def probabilities(self, inputs: Inputs) -> Probabilities:
        """`[n, ...]` in canonical order, images as float32 0..1, to `[n, classes]`.

        They go through in batches padded to a power of two.
        """
        parts = [inputs[at : at + self.largest] for at in range(0, len(inputs), self.largest)]
        return np.concatenate([self.part(part) for part in parts])

    def part(self, inputs: Inputs) -> Probabilities:
        """One batch of at most `self.largest` samples."""
        count = len(inputs)
        size = 1 << (count - 1).bit_length()
        if size > count:
            inputs = np.concatenate([inputs, np.zeros((size - count, *inputs.shape[1:]), inputs.dtype)])
        if size == self.largest:
            return np.asarray(self.many(self.variables, inputs, np.int32(count)))[:count]
        return np.asarray(self.few(self.rounded, inputs, np.int32(count)))[:count]


def with_operands_of(variables: Variables, graph: Graph, precision: str) -> Variables:
    """The kernels rounded as every product would round them anyway: once, and not for every answer."""
    declared = graph.arrays()["params"]

    def rounded(node: str, name: str, p: np.ndarray) -> np.ndarray:
        operand = p.ndim > 1 and declared[node][name].operand
        return p.astype(jnp.dtype(precision)).astype(np.float32) if operand else p

    held = jax.device_get(variables["params"])
    params = {node: {name: rounded(node, name, p) for name, p in arrays.items()} for node, arrays in held.items()}
    return {**variables, "params": jax.device_put(params)}
