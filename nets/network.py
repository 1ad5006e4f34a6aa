"""Graph to Flax module: one submodule per node declares its arrays, a plan computes with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from nets.architecture.graph import INPUT, Graph, Node
from nets.kernels.layouts import Laid, to
from nets.kernels.loops import Loop, Stack, looped
from nets.kernels.plan import Fusion, Plan
from nets.kernels.reference import canonical, reference
from nets.kernels.schedule import Stage, schedule
from nets.layers.base import CANONICAL, Bound, Own
from nets.layers.parameters import Arrays, Parameter, ones, zeros

Variables = dict[str, Any]


class NodeArrays(nn.Module):
    """Declares the arrays of one node under its id. shared: those of another node that it uses in place of its own.

    copies: of how many nodes the arrays lie one after the other in those of this one; None where they are its own.
    """

    node: Node
    plan: Plan
    copies: int | None = None

    @nn.compact
    def __call__(self, *, train: bool, batch: int, shared: Bound | None, counted: Array | None) -> Bound:
        node, layer = self.node, self.node.layer
        held = Arrays() if shared else node.arrays
        params = {name: self.held(name, p) for name, p in held.parameters.items()}
        statistics = {
            name: self.variable("batch_stats", name, p.init, None, p.shape)  # zeros and ones: no key
            for name, p in held.statistics.items()
        }
        numbers = {
            name: self.variable("numbers", name, jnp.float32, value).value for name, value in layer.numbers().items()
        }
        return Bound(
            layer=layer,
            takes=node.takes,
            gives=node.gives,
            train=train,
            batch=batch * node.times,
            numerics=self.plan.numerics,
            params=shared.params if shared else params,
            statistics=shared.statistics if shared else statistics,
            numbers=numbers,
            random_key=self.make_rng("dropout") if train and layer.draws else None,
            axes=CANONICAL[node.takes[0].kind],
            counted=counted,
        )

    def held(self, name: str, p: Parameter) -> Array:
        """A trained array. One that is there is taken as it is: Flax would trace how it is drawn, for its shape."""
        shape = p.shape if self.copies is None else (self.copies, *p.shape)
        found: Array | None = self.get_variable("params", name)
        if found is None:
            return self.param(name, p.init, p.shape)
        if found.shape != shape:
            raise ValueError(f"{self.node.id}.{name} must be of shape {shape}, got {found.shape}")
        return found


class Standardised(nn.Module):
    """Numbers with mean 0 and deviation 1 per channel or feature, by statistics that travel with the weights."""

    channels: int

    @nn.compact
    def __call__(self, inputs: Array) -> Float[Array, "batch *axes channels"]:
        mean = self.variable("batch_stats", "mean", zeros, None, (self.channels,)).value
        std = self.variable("batch_stats", "std", ones, None, (self.channels,)).value
        scale = 1 / std if inputs.dtype != jnp.uint8 else 1 / (255 * std)
        return inputs * scale - mean / std


class Network(nn.Module):
    """A network as a Flax module: inputs in, logits out. A final softmax is left to whoever reads the logits.

    Collections: `params`, `batch_stats` (statistics of norms, and of the inputs), `numbers` (inputs of the program such
    as dropout rates).

    stacks: nodes whose arrays are given one after the other, under the id of the first. A loop over them takes them as
    they are.
    """

    graph: Graph
    plan: Plan
    stacks: tuple[Stack, ...] = ()

    @property
    def compiler_options(self) -> dict[str, str | bool] | None:
        """For `jax.jit` of every program that runs this network."""
        return dict(self.plan.compiler_options(self.graph)) or None

    @nn.compact
    def __call__(self, inputs: Array, *, train: bool, counted: Array | None = None, kept: tuple[str, ...] = ()) -> Any:
        """`inputs`: a batch in canonical order: images uint8 0..255 or float32 0..1, numbers float32, tokens int32.

        counted: which samples count, where others only fill the batch up: for networks that compare them. kept: ids of
        nodes whose values are asked for, too: the logits come with a tuple of them then, in canonical order.
        """
        graph, batch = self.graph, len(inputs)
        bounds: dict[str, Bound] = {}
        stacked: dict[Stack, Bound] = {}
        places = {name: (stack, place) for stack in self.stacks for place, name in enumerate(stack)}
        for node in sharing_last(graph.nodes):
            stack, place = places.get(node.id, (None, 0))
            arrays = NodeArrays(node, self.plan, len(stack) if stack else None, name=node.id)
            shared = bounds[node.shares] if node.shares else stacked[stack].row(place) if stack and place else None
            bound = arrays(train=train, batch=batch, shared=shared, counted=counted)
            if stack and not place:
                stacked[stack] = bound
                bound = bound.row(0)
            bounds[node.id] = bound
        if graph.standardises:
            inputs = Standardised(graph.input.channels, name=INPUT)(inputs)
        values = {INPUT: Laid(inputs, canonical(graph.input))}
        stages = schedule(graph, self.plan, batch=batch, train=train, kept=kept)
        plan = self.plan
        for part in looped(stages, plan.least_copies, positions=plan.least_positions, kept=kept):
            if isinstance(part, Loop):
                values[part.output] = self.loop(part, bounds, stacked, values)
            else:
                values[part.output] = self.run(part, bounds, values)
        logits = to(values[graph.logits], "BC").array.astype(jnp.float32)
        if not kept:
            return logits
        return logits, tuple(to(values[name], canonical(graph.by_id[name].gives)).array for name in kept)

    def run(self, stage: Stage, bounds: Mapping[str, Bound], values: Mapping[str, Laid]) -> Laid:
        """What a stage gives."""
        xs = [values[name] for name in stage.inputs]
        if stage.how is None:
            return reference(bounds[stage.output], xs)
        if isinstance(stage.how, Fusion):
            return stage.how.run(self.plan, [bounds[node.id] for node in stage.nodes], xs)
        return stage.how.run(self.plan, bounds[stage.output], xs)

    def loop(
        self, loop: Loop, bounds: Mapping[str, Bound], stacked: Mapping[Stack, Bound], values: Mapping[str, Laid]
    ) -> Laid:
        """What the last of equal blocks gives: one program for all of them, their arrays one after the other.

        stacked: of nodes whose arrays lie so already.
        """
        first, nodes = loop.copies[0], [[bounds[name] for name in place] for place in loop.places]
        whole = [stacked.get(place) for place in loop.places]
        given = [one_after_another(each, of_all) for each, of_all in zip(nodes, whole, strict=True)]

        def block(x: Laid, arrays: list[Own]) -> tuple[Laid, list[Mapping[str, Array]]]:
            inner = [each[0].holding(own) for each, own in zip(nodes, arrays, strict=True)]
            by_id = dict(zip((place[0] for place in loop.places), inner, strict=True))
            within = {loop.input: x}
            for stage in first:
                within[stage.output] = self.run(stage, by_id, within)
            return within[first[-1].output], [bound.own.statistics for bound in inner]

        def step(x: Laid, arrays: list[Own]) -> tuple[Laid, list[Mapping[str, Array]]]:
            y, moved = block(x, arrays)
            return to(y, x.layout), moved

        x = values[loop.input]
        y, _ = jax.eval_shape(block, x, jax.tree.map(lambda leaf: leaf[0], given))
        x, moved = jax.lax.scan(step, to(x, y.layout), given, length=len(loop.copies))
        if nodes[0][0].train:
            for each, of_all, changed in zip(nodes, whole, moved, strict=True):
                put_back(each, of_all, changed)
        return x


def one_after_another(bounds: Sequence[Bound], whole: Bound | None) -> Own:
    """The arrays of equal layers, each with an axis more in front. whole: where those of all lie so already."""

    def together(*leaves: Array) -> Array:
        return jnp.stack(leaves)

    if whole is None:
        return jax.tree.map(together, *(bound.own for bound in bounds))
    numbers, keys = jax.tree.map(together, *((dict(bound.numbers), bound.random_key) for bound in bounds))
    return Own(whole.own.params, whole.own.statistics, numbers, keys)


def put_back(bounds: Sequence[Bound], whole: Bound | None, changed: Mapping[str, Array]) -> None:
    """What a loop made of the statistics of equal layers."""
    for name, value in changed.items():
        if whole is not None:
            whole.update(name, value)
            continue
        for place, bound in enumerate(bounds):
            bound.update(name, value[place])


def sharing_last(nodes: tuple[Node, ...]) -> list[Node]:
    """Those with arrays of their own before those that use them."""
    return sorted(nodes, key=lambda node: node.shares is not None)


def seed_key(seed: int) -> jax.Array:
    """The key of a seed of up to 64 bits: all of them, where `jax.random.key` takes the lower 32."""
    return jax.random.wrap_key_data(jnp.array([seed >> 32, seed % 2**32], jnp.uint32), impl="threefry2x32")


class Drawn(nn.Module):
    """Declares arrays that are drawn one after the other from one key."""

    parameters: tuple[tuple[str, Parameter], ...]

    @nn.compact
    def __call__(self) -> dict[str, Array]:
        return {name: self.param(name, p.init, p.shape) for name, p in self.parameters}


def initial_variables(graph: Graph, *, seed: int, statistics: Mapping[str, Any] | None = None) -> Variables:
    """Fresh `params` and `batch_stats`. The same seed gives the same values on every platform.

    statistics: mean and deviation that standardise all input; without them it stays as it is.
    """
    found = {"params": drawn(graph, seed_key(seed)), "batch_stats": {}}
    for name, arrays in graph.arrays()["batch_stats"].items():
        found["batch_stats"][name] = {each: p.init(seed_key(0), p.shape) for each, p in arrays.items()}
    if statistics is not None and graph.standardises:
        found["batch_stats"][INPUT] = dict(statistics)
    return found


def drawn(graph: Graph, key: jax.Array) -> dict[str, dict[str, Array]]:
    """The trained arrays by node: those of nodes of one `draw` from one key, by turns."""
    found: dict[str, dict[str, Array]] = {}
    owners = sorted((node for node in graph.nodes if node.arrays.parameters), key=lambda node: (node.draw, node.turn))
    for draw, group in groupby(owners, key=lambda node: node.draw):
        own = key
        for number in draw:
            own = jax.random.fold_in(own, number)
        nodes = list(group)
        declared = [
            (f"{turn}.{name}", p) for turn, node in enumerate(nodes) for name, p in node.arrays.parameters.items()
        ]
        arrays = Drawn(tuple(declared)).init(own)["params"]
        for turn, node in enumerate(nodes):
            found[node.id] = {name: arrays[f"{turn}.{name}"] for name in node.arrays.parameters}
    return found


def numbers_of(graph: Graph) -> dict[str, dict[str, jax.Array]]:
    """The `numbers` collection of a graph."""
    return {
        node: {name: jnp.float32(value) for name, value in values.items()} for node, values in graph.numbers().items()
    }
