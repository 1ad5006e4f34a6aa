"""Arrays of files that earlier versions wrote, under the names of today.

Until blocks were made of other layers, a block was one layer: its arrays lay under its own id, as `conv1_kernel`, where
today `residual_block_3.conv1` has a `kernel`.
"""

from __future__ import annotations

from typing import Any

from nets.architecture.graph import Graph


def renamed(tree: Any, graph: Graph) -> Any:
    """Nested dictionaries, at whatever depth those of a block lie; others as they are."""
    parts: dict[str, list[str]] = {}
    for node in graph.nodes:
        whole, dot, part = node.id.rpartition(".")
        if dot:
            parts.setdefault(whole, []).append(part)
    return _renamed(tree, parts)


def _renamed(tree: Any, parts: dict[str, list[str]]) -> Any:
    if not isinstance(tree, dict):
        return tree
    found: dict[str, Any] = {}
    for name, value in tree.items():
        if name not in parts or not isinstance(value, dict):
            found[name] = _renamed(value, parts)
            continue
        for array, content in value.items():
            part = next((part for part in parts[name] if array.startswith(f"{part}_")), None)
            if part is None:
                found.setdefault(name, {})[array] = content
            else:
                found.setdefault(f"{name}.{part}", {})[array.removeprefix(f"{part}_")] = content
    return found
