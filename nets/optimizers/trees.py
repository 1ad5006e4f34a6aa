"""Parameters as they are filed, by layer and name, and parts of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Tree = Mapping[str, Mapping[str, Any]]


def part(tree: Tree, belongs: Callable[[str, str], bool]) -> dict[str, dict[str, Any]]:
    """The arrays that belong to it, asked by layer and name."""
    found = {
        layer: {name: leaf for name, leaf in arrays.items() if belongs(layer, name)} for layer, arrays in tree.items()
    }
    return {layer: arrays for layer, arrays in found.items() if arrays}


def joined(*parts: Tree) -> dict[str, dict[str, Any]]:
    """Parts of a tree as one; of an array that several have, the last one's."""
    found: dict[str, dict[str, Any]] = {}
    for tree in parts:
        for layer, arrays in tree.items():
            found.setdefault(layer, {}).update(arrays)
    return found


def is_kernel(name: str, axes: int) -> bool:
    """Whether an array of a layer is what products take, of what comes in and what goes out: its last two axes.

    Kernels, and the weights of recurrent layers; no tables of embeddings, no factors of norms.
    """
    return axes > 1 and ("kernel" in name or name.startswith("weight"))
