"""Arrays filed by layer, some of them one after the other: what is computed of each, without taking them apart.

What a run holds on its device lies so. Snapshots and weights that leave it have each layer's arrays under its own name.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from nets.architecture.graph import Graph
from nets.kernels.loops import Stack
from nets.training.arrays import on_host
from nets.training.state import Tree

Layers = dict[str, dict[str, Any]]  # arrays, or trees of them, by layer and name
Stacks = tuple[Stack, ...]


@dataclass(frozen=True)
class Filing:
    """How trees are filed by layer. known: the names of the arrays of each layer.

    stacks: layers whose arrays lie one after the other, under the name of the first of them.
    """

    stacks: Stacks = ()
    known: Mapping[str, Collection[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, graph: Graph, stacks: Stacks) -> Self:
        found: dict[str, set[str]] = {}
        for layers in graph.arrays().values():
            for layer, arrays in layers.items():
                found.setdefault(layer, set()).update(arrays)
        return cls(stacks, found)

    def together(self, tree: Tree, join: Callable[[Sequence[Any]], Any]) -> Tree:
        """A tree with the arrays of each stack as one. join: makes one of many."""

        def joined(layers: Layers) -> Layers:
            found = dict(layers)
            for stack in self.stacks:
                if stack[0] in found:
                    found[stack[0]] = jax.tree.map(lambda *leaves: join(leaves), *(found.pop(name) for name in stack))
            return found

        return self.changed(joined, tree)

    def apart(self, tree: Tree) -> Tree:
        """The other way round: all under their own names, in the order of these."""

        def taken(layers: Layers) -> Layers:
            found = dict(layers)
            for stack in self.stacks:
                if stack[0] in found:
                    rows = rows_of(found[stack[0]], len(stack))
                    found |= dict(zip(stack, rows, strict=True))
            return dict(sorted(found.items()))

        return self.changed(taken, tree)

    def placed(self, tree: Tree) -> Tree:
        """What lies on the host, each under its own name, as copies on the device: programs may be given those."""
        return jax.tree.map(lambda leaf: jax.device_put(np.array(leaf)), self.together(tree, joined_on_host))

    def taken(self, tree: Tree) -> Tree:
        """The other way round: copies on the host, each under its own name."""
        return self.apart(on_host(tree))

    def squares(self, layers: Layers) -> Iterator[Float[Array, ""]]:
        """The sum of the squares of each layer's array, in the order of names."""
        sums = self.by_layer(lambda part: jax.tree.map(lambda x: jnp.sum(x * x), part), layers)
        return iter(jax.tree.leaves(self.apart(sums)))

    def by_layer(self, function: Callable[..., Tree], *trees: Tree) -> Tree:
        """A function of trees that treats each layer by itself: of those in stacks, of one after the other.

        It sees, and gives, no arrays but such as are filed by layer, and scalars that are the same for all.
        """
        found = function(*(self.some(tree, None) for tree in trees))
        for length in sorted({len(stack) for stack in self.stacks}):
            own = [self.some(tree, length) for tree in trees]
            leaves, form = jax.tree.flatten(own)
            stacked = jax.tree.leaves(jax.tree.map(self.marked, own, is_leaf=self.is_filed))
            if any(stacked):
                rows = self.one_by_one(function, form, leaves, stacked)
                found = jax.tree.map(self.joined, found, rows, is_leaf=self.is_filed)
        return found

    def one_by_one(
        self, function: Callable[..., Tree], form: Any, leaves: Sequence[Array], stacked: Sequence[bool]
    ) -> Tree:
        """The function of each row of what is stacked. form: of its arguments, whose arrays these leaves are."""

        def of_one(rows: list[Array]) -> Tree:
            left = iter(rows)
            given = [next(left) if is_row else leaf for leaf, is_row in zip(leaves, stacked, strict=True)]
            return function(*jax.tree.unflatten(form, given))

        return lax.map(of_one, [leaf for leaf, is_row in zip(leaves, stacked, strict=True) if is_row])

    def some(self, tree: Tree, length: int | None) -> Tree:
        """A tree of the layers in stacks of so many alone; None for those that are in none."""
        lengths = {stack[0]: len(stack) for stack in self.stacks}

        def chosen(layers: Layers) -> Layers:
            return {layer: arrays for layer, arrays in layers.items() if lengths.get(layer) == length}

        return self.changed(chosen, tree)

    def marked(self, x: Any) -> Any:
        """Whether arrays are filed by layer."""
        filed = self.is_filed(x)
        return jax.tree.map(lambda _: filed, x)

    def joined(self, one: Any, other: Any) -> Any:
        """Layers of both; what else there is, of the first."""
        return {**one, **other} if self.is_filed(one) else one

    def changed(self, change: Callable[[Layers], Layers], tree: Tree) -> Tree:
        """A tree in which everything that is filed by layer is changed."""
        if not self.stacks:
            return tree
        return jax.tree.map(lambda x: change(x) if self.is_filed(x) else x, tree, is_leaf=self.is_filed)

    def is_filed(self, x: Any) -> bool:
        """Whether layers are its keys, and names of their arrays the keys in these."""
        return isinstance(x, dict) and all(
            layer in self.known and isinstance(arrays, dict) and all(name in self.known[layer] for name in arrays)
            for layer, arrays in x.items()
        )


ALONE = Filing()  # each array by itself


def rows_of(tree: Tree, count: int) -> list[Tree]:
    """Each place of the first axis."""
    leaves, form = jax.tree.flatten(tree)
    return [jax.tree.unflatten(form, [leaf[place] for leaf in leaves]) for place in range(count)]


def shapes_joined(leaves: Sequence[jax.ShapeDtypeStruct]) -> jax.ShapeDtypeStruct:
    """Shapes as one."""
    return jax.ShapeDtypeStruct((len(leaves), *leaves[0].shape), leaves[0].dtype)


def joined_on_host(leaves: Sequence[Any]) -> np.ndarray:
    """Arrays as one of the host, so that nothing is compiled."""
    return np.stack([np.asarray(leaf) for leaf in leaves])
