"""Which arrays and values of a network its regularizers are of, and what they add."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from nets.architecture.graph import Graph, Node
from nets.optimizers.groups import matches
from nets.regularizers import OfActivity, OfWeights, Regularizer
from nets.training.filing import ALONE, Filing

Tree = Any
Numbers = Mapping[str, Array]


@dataclass(frozen=True)
class Regularized:
    """A regularizer in its place. nodes: ids of those that it is of. arrays: of each, those that it is of."""

    regularizer: Regularizer
    nodes: tuple[str, ...]
    arrays: tuple[tuple[str, ...], ...] = ()

    @classmethod
    def of(cls, regularizer: Regularizer, graph: Graph) -> Regularized:
        """That of the layers of a network."""
        named = [node for node in graph.nodes if any(matches(each, node.id) for each in regularizer.layers)]
        if isinstance(regularizer, OfActivity):
            computed = set(graph.computed)
            giving = (node for node in named if node in computed and not node.layer.keeps_values)
            return cls(regularizer, tuple(node.id for node in giving))
        found = {node.id: names for node in named if (names := tuple(kernels(node)))}
        return cls(regularizer, tuple(found), tuple(found.values()))

    def structure(self) -> Regularized:
        """The same without its numbers, and without how its layers were named."""
        return replace(self, regularizer=self.regularizer.structure().model_copy(update={"layers": ("*",)}))


def kernels(node: Node) -> Iterator[str]:
    """The weights of a node that products multiply by."""
    for name, parameter in node.arrays.parameters.items():
        if len(parameter.shape) > 1 and parameter.operand:
            yield name


def penalty(found: Sequence[Regularized], params: Tree, numbers: Mapping[str, Numbers]) -> Float[Array, ""]:
    """What the weights add to what is made small. params: of any layers."""
    total = jnp.float32(0)
    for number, each in enumerate(found):
        if isinstance(each.regularizer, OfWeights):
            parts = [
                each.regularizer.penalty(params[node][name])
                for node, names in zip(each.nodes, each.arrays, strict=True)
                if node in params
                for name in names
            ]
            total += numbers[str(number)]["weight"] * sum(parts, jnp.float32(0))
    return total


def penalised(
    found: Sequence[Regularized],
    gradients: Tree,
    params: Tree,
    numbers: Mapping[str, Numbers],
    filing: Filing = ALONE,
) -> Tree:
    """The gradients with those of what the weights add; the rest of them as they are.

    Arrays without a gradient, since they are frozen, get none. filing: of gradients and params.
    """
    held: dict[str, dict[str, Array]] = {}
    for each in found:
        for node, names in zip(each.nodes, each.arrays, strict=False):  # those of activity have no arrays
            if node not in params:  # it lies behind the first one of its stack
                continue
            held.setdefault(node, {}).update({name: params[node][name] for name in names})
    if not held:
        return gradients
    more = filing.by_layer(jax.grad(lambda tree: penalty(found, tree, numbers)), held)
    changed = {
        node: {**gradients[node], **{name: gradients[node][name] + array for name, array in arrays.items()}}
        for node, arrays in more.items()
        if node in gradients
    }
    return {**gradients, **changed}


def activity(
    found: Sequence[Regularized], values: Mapping[str, Array], numbers: Mapping[str, Numbers]
) -> Float[Array, " batch"] | None:
    """What each sample adds by what layers give; None where nothing does. values: by node."""
    total: Array | None = None
    for number, each in enumerate(found):
        if isinstance(each.regularizer, OfActivity):
            for node in each.nodes:
                more = numbers[str(number)]["weight"] * each.regularizer.each(values[node])
                total = more if total is None else total + more
    return total
