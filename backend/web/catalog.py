"""The registries of data sets and layer types as clients read them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from backend.state.records import Json
from backend.training.default_dataset import BUNDLED, PREFERRED
from nets.architecture.combinators import COMBINATORS
from nets.datasets import DATASETS, DatasetInfo, problem, source
from nets.layers import LAYERS, Layer
from nets.layers.base import Example
from nets.layers.groups import group_of
from nets.spec.registry import Typed
from nets.spec.values import Kind

# In a docstring: `He et al., 2016`, `Ioffe & Szegedy, 2015`, `Hochreiter and Schmidhuber, 1997`; `nn.Conv2d`.
PAPER = re.compile(r"[A-Z][\w-]+(?:(?:,| and| &) [A-Z][\w-]+)*(?: et al\.)?, (?:19|20)\d\d")
PYTORCH = re.compile(r"`((?:nn|torch|torchvision)\.[\w.]+)`")
KERAS = re.compile(r"Keras's `(\w+)`")
ORDER = ("image", "any", "features", "sequence", "tokens")


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
    """Every layer type with its other names, its fields (JSON Schema by field), other names of those, and examples.

    Those that take images first, then those that take anything, then features: the examples of those with one input
    that keep height and width, or give features, in this order and with a linear layer behind them, are a network.
    Behind them stand those that take nothing but sequences, and tokens.
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
        "takes": taken(layer.takes),
        "kinds": list(layer.takes),
        "inputs": {"least": least, "most": most},
        "converts": layer.converts,
        "gives": list(dict.fromkeys(example.gives.kind for example in layer.examples)),
        "group": group_of(layer),
        "example": _example(layer, layer.examples[0])["layer"] if layer.examples else {"type": name},
        "examples": [_example(layer, each) for each in layer.examples],
    }


def _example(layer: type[Layer], example: Example) -> Json:
    """A layer with what it is given and gives: kinds and shapes, for tokens how many different ones there are.

    Its fields have the names that stand in the schema beside it.
    """
    return {
        "layer": {layer.aliases.get(field, field): value for field, value in example.json.items()},
        "takes": [asdict(each) for each in example.takes],
        "gives": asdict(example.gives),
    }


def taken(kinds: Sequence[Kind]) -> str:
    """What a type takes in one word: the first of its kinds in this order, `any` for images and features."""
    if {"image", "features"} <= set(kinds):
        return "any"
    return next(kind for kind in ORDER if kind in kinds)


def _entry(name: str, cls: type[Typed]) -> Json:
    schema, about = cls.model_json_schema(), inspect.getdoc(cls) or ""
    fields = {field: part for field, part in schema["properties"].items() if field != "type"}
    required = [field for field in schema.get("required", []) if field != "type"]
    named = {"type": {"enum": [name, *cls.also], "description": "Its type."}}
    return {
        "type": name,
        "also": list(cls.also),
        "description": about,
        "papers": PAPER.findall(" ".join(about.split())),
        "pytorch": PYTORCH.findall(about),
        "keras": KERAS.findall(about),
        "fields": fields,
        "order": list(fields),
        "required": required,
        "aliases": dict(cls.aliases),
        "refused": dict(cls.refused),
        "schema": {
            "title": name,
            "description": about,
            "type": "object",
            "properties": {**named, **fields},
            "required": ["type", *required],
            "additionalProperties": False,
            **({"$defs": schema["$defs"]} if "$defs" in schema else {}),
        },
    }
