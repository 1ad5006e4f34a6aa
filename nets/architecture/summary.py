"""A network for people and for the next reader: a short name, and its canonical JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nets.architecture.combinators import Combinator
from nets.architecture.written import Written
from nets.errors import Path
from nets.layers import Layer

MOST_WIDTHS = 8


def title(layers: Sequence[Layer]) -> str:
    """A short readable name of layers, e.g. `CNN 32-64-128-10`."""
    _, kind = max(layer.title for layer in layers)
    text = [str(layer.to_json()[layer.width]) for layer in layers if layer.width]
    return f"{kind} {'-'.join(text if len(text) <= MOST_WIDTHS else [*text[:3], '...', *text[-3:]])}"


def written_json(items: Iterable[Written], filled: Mapping[Path, Layer]) -> list[dict[str, Any]]:
    """A list of layers as a client could send it, every field filled in."""
    return [_item_json(item, filled) for item in items]


def _item_json(item: Written, filled: Mapping[Path, Layer]) -> dict[str, Any]:
    if isinstance(item.spec, Combinator):
        own = item.spec.to_json([written_json(body.items, filled) for body in item.bodies])
    else:
        own = filled[item.path].to_json()
    said = {"name": item.name, "inputs": item.inputs and list(item.inputs), "shares": item.shares}
    kept = json.loads(item.kept) if item.kept else {}
    return {**own, **{name: value for name, value in said.items() if value is not None}, **kept}
