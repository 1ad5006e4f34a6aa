"""The registries of data sets and layer types as clients read them."""

from __future__ import annotations

import inspect
from pathlib import Path

from backend.state.records import Json
from backend.training.default_dataset import BUNDLED, PREFERRED
from nets.architecture.combinators import COMBINATORS
from nets.datasets import DATASETS, DatasetInfo, problem, source
from nets.layers import LAYERS, Layer
from nets.spec.registry import Typed

ORDER = ("image", "any", "features")


def dataset_entries(data_dir: Path) -> list[Json]:
    """Every data set, and whether it is on this disk and can be read. Asks nothing of the network."""
    return [_dataset_entry(entry, data_dir) for entry in DATASETS.values()]


def _dataset_entry(entry: DatasetInfo, data_dir: Path) -> Json:
    had_from = source(entry.name, data_dir)
    return {
        "name": entry.name,
        "title": entry.title,
        "description": entry.description,
        "shape": list(entry.shape),
        "classes": list(entry.classes),
        "train_size": entry.train_size,
        "test_size": entry.test_size,
        "download_mb": entry.download_mb,
        "bundled": entry.bundled,
        "cached": had_from in ("bundled", "cache"),
        "source": had_from,
        "problem": problem(entry.name, data_dir),
        "homepage": entry.homepage,
        "default": {PREFERRED: "first choice", BUNDLED: "where the first choice cannot be had"}.get(entry.name),
    }


def layer_entries() -> list[Json]:
    """Every layer type with its other names, its fields (JSON Schema by field), other names of those, and an example.

    Those that take images first, then those that take anything, then features: the examples of those with one input,
    in this order and with a linear layer behind them, are a network.
    """
    entries = [_layer_entry(name, layer) for name, layer in LAYERS.items()]
    return sorted(entries, key=lambda entry: ORDER.index(entry["takes"]))


def combinator_entries() -> list[Json]:
    """What holds lists of layers, in the same form."""
    return [{**_entry(name, cls), "example": dict(cls.examples[0])} for name, cls in COMBINATORS.items()]


def _layer_entry(name: str, layer: type[Layer]) -> Json:
    least, most = layer.arity
    return {
        **_entry(name, layer),
        "takes": "any"
        if {"image", "features"} <= set(layer.takes)
        else "image"
        if "image" in layer.takes
        else "features",
        "kinds": list(layer.takes),
        "inputs": {"least": least, "most": most},
        "converts": layer.converts,
        "example": dict(layer.examples[0].json) if layer.examples else {"type": name},
    }


def _entry(name: str, cls: type[Typed]) -> Json:
    schema = cls.model_json_schema()
    return {
        "type": name,
        "also": list(cls.also),
        "description": inspect.getdoc(cls) or "",
        "fields": {field: part for field, part in schema["properties"].items() if field != "type"},
        "required": [field for field in schema.get("required", []) if field != "type"],
        "aliases": dict(cls.aliases),
    }
