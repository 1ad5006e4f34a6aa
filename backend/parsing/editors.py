"""Bodies as stand-alone JSON Schemas, for editors: with one definition per layer type, combinator and optimizer.

Stricter than the OpenAPI document: unknown fields are errors, and which fields there are depends on `type`.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.metadata import version
from typing import Any

from backend.parsing.requests import DefineBody, Definition, TrainBody
from backend.state.records import Json
from nets.architecture.combinators import COMBINATORS, Combinator, merges
from nets.architecture.common import KEPT, Common
from nets.architecture.frame import Frame
from nets.architecture.names import NAME
from nets.architecture.schema import lists_of_layers
from nets.augment import AUGMENTATIONS
from nets.datasets import DATASETS
from nets.hyperparams.hyperparams import Hyperparams, part_schema
from nets.hyperparams.parts import ALIASES, PARTS, TYPED
from nets.layers import LAYERS
from nets.losses import LOSSES
from nets.metrics import METRICS, SEVERAL
from nets.metrics.several import MOST as MOST_METRICS
from nets.optimizers import OPTIMIZERS
from nets.optimizers.groups import groups_schema
from nets.regularizers import REGULARIZERS
from nets.schedules import SCHEDULES
from nets.spec.allowed import one_of
from nets.spec.registry import Typed, type_schema

DIALECT = "https://json-schema.org/draft/2020-12/schema"
LISTS = lists_of_layers({"$ref": "#/$defs/Layer"})  # in combinators
STORED: Json = {  # what says where the rest of a training comes from
    "anyOf": [{"required": [name], "properties": {name: {"type": "string"}}} for name in ("model_id", "resume_from")]
}
WHOLE: Json = {  # what has to come if nothing is stored
    "required": ["architecture"],
    "properties": {
        "architecture": {"type": "object"},
        "hyperparams": {"properties": {name: {"required": ["type"]} for name in TYPED}},
    },
}


@cache
def train_schema() -> Json:
    """The body of `POST /api/train`."""
    rules = {"if": STORED, "else": WHOLE}
    return _whole("train", "A training run, as the body of POST /api/train", TrainBody, rules, [TrainBody.example])


@cache
def model_schema() -> Json:
    """The body of `POST /api/models`."""
    return _whole("model", "A model, as the body of POST /api/models", DefineBody, {}, [DefineBody.example])


def _whole(name: str, title: str, body: type[Definition], rules: Json, examples: Sequence[Json]) -> Json:
    schema = _clean(body.model_json_schema())
    fields = {**schema["properties"], **{part: _optional(part.title()) for part in ("architecture", "hyperparams")}}
    for part in ("architecture", "hyperparams"):
        fields[part]["description"] = schema["properties"][part]["description"]
    return {
        "$schema": DIALECT,
        "$id": f"urn:lamina:{name}:{version('lamina')}",
        "title": title,
        "type": "object",
        "additionalProperties": False,
        "properties": fields,
        **rules,
        "examples": examples,
        "$defs": {
            "Architecture": _architecture(),
            "Hyperparams": _hyperparams(),
            "Layer": _choice("layer", "A layer or a combinator.", {**LAYERS, **COMBINATORS}),
            "Merge": _choice("merge", "A layer that makes one value of several.", merges()),
            "Optimizer": _choice("optimizer", "An optimizer; only `type` is needed.", OPTIMIZERS, required=False),
            "Metric": _choice("metric", "A metric with its options.", METRICS),
            "Loss": _choice("loss", "A loss; each option has a default.", LOSSES, required=False),
            "Regularizer": _choice("regularizer", "What is made small beside the loss.", REGULARIZERS),
            "Augmentation": _choice("augmentation", "What is done to training images.", AUGMENTATIONS),
            "Schedule": _choice("schedule", "How the learning rate changes over a run.", SCHEDULES, required=False),
            **dict(_definitions()),
        },
    }


def _optional(definition: str) -> Json:
    return {"anyOf": [{"$ref": f"#/$defs/{definition}"}, {"type": "null"}]}


def _architecture() -> Json:
    frame = _clean(Frame.model_json_schema())["properties"]
    about = {"description": "From the input to the logits, one for each class."}
    layers = {**LISTS["layers"], **about}
    return {
        "title": "Architecture",
        "description": "The network: what goes in, and its layers.",
        "type": "object",
        "required": ["layers"],
        "additionalProperties": False,
        "properties": {**frame, "layers": layers},
    }


def _hyperparams() -> Json:
    fields = _clean(Hyperparams.model_json_schema())["properties"]
    fields["optimizer"] = {"$ref": "#/$defs/Optimizer", "description": fields["optimizer"].get("description", "")}
    schedules = [{"$ref": "#/$defs/Schedule"}, {"type": "null"}]
    fields["lr_schedule"] = {"anyOf": schedules, "description": fields["lr_schedule"]["description"]}
    fields["groups"] = _clean(groups_schema(fields["groups"]))
    names = [part for part in SEVERAL.schema()["items"]["anyOf"] if part.get("type") == "string" or "enum" in part]
    fields["metrics"] |= {"items": {"anyOf": [*names, {"$ref": "#/$defs/Metric"}]}, "maxItems": MOST_METRICS}
    fields["loss"] = {
        "anyOf": [one_of(LOSSES.words()), {"$ref": "#/$defs/Loss"}],
        "description": fields["loss"].get("description", ""),
    }
    fields["regularizers"]["items"] = {"$ref": "#/$defs/Regularizer"}
    fields["augment"]["items"] = {"$ref": "#/$defs/Augmentation"}
    fields |= {name: _clean(part_schema(name, fields[name])) for name in PARTS}
    about = fields["dataset_type"]["description"]
    fields["dataset_type"] = {"enum": [*DATASETS, None], "description": about}
    others = {alias: {**fields[name], "description": f"The same as `{name}`."} for alias, name in ALIASES.items()}
    return {
        "title": "Hyperparams",
        "description": "How the network is trained; each field has a default.",
        "type": "object",
        "additionalProperties": False,
        "properties": {**fields, **others},
    }


def _choice(what: str, about: str, kinds: Mapping[str, type[Any]], *, required: bool = True) -> Json:
    """One of several types: `type` says which fields there are."""
    examples = [dict(example) for kind in kinds.values() for example in _examples(kind)[:1]]
    others = {word: name for name, kind in kinds.items() for word in kind.also}
    about_others = [f"The same as `{name}`." for name in others.values()]
    return {
        "description": about,
        "type": "object",
        **({"required": ["type"]} if required else {}),
        "properties": {
            "type": {
                **one_of([*kinds, *others]),
                "enumDescriptions": [*(_about(kind) for kind in kinds.values()), *about_others],
            },
        },
        "allOf": [
            {
                "if": {"required": ["type"], "properties": {"type": type_schema(kind)}},
                "then": {"$ref": f"#/$defs/{what if kinds is not COMBINATORS else 'layer'}.{name}"},
            }
            for name, kind in kinds.items()
        ],
        "examples": examples,
        "defaultSnippets": [{"label": example["type"], "body": example} for example in examples],
    }


def _definitions() -> Iterator[tuple[str, Json]]:
    besides = {**_clean(Common.model_json_schema())["properties"], **{key: {"description": KEPT_FOR} for key in KEPT}}
    besides["name"] = {"anyOf": [NAME, {"type": "null"}], "description": besides["name"]["description"]}
    for name, kind in {**LAYERS, **COMBINATORS}.items():
        yield f"layer.{name}", _definition(name, kind, besides)
    for name, kind in merges().items():
        yield f"merge.{name}", _definition(name, kind, {})
    for name, optimizer in OPTIMIZERS.items():
        ignored = _clean(optimizer.ignored.model_json_schema()).get("properties", {})
        unused = {field: {**part, "description": f"{name} has none; ignored."} for field, part in ignored.items()}
        yield f"optimizer.{name}", _definition(name, optimizer, unused)
    for name, loss in LOSSES.items():
        yield f"loss.{name}", _definition(name, loss, {})
    for name, regularizer in REGULARIZERS.items():
        yield f"regularizer.{name}", _definition(name, regularizer, {})
    for name, augmentation in AUGMENTATIONS.items():
        yield f"augmentation.{name}", _definition(name, augmentation, {})
    for name, schedule in SCHEDULES.items():
        yield f"schedule.{name}", _definition(name, schedule, {})

    for name, metric in METRICS.items():
        yield f"metric.{name}", _definition(name, metric, {})


KEPT_FOR = "For builders: kept, and without a meaning here."


def _definition(name: str, kind: type[Typed], besides: Json) -> Json:
    """One type with its fields, and their other names."""
    schema = _clean(kind.model_json_schema())
    fields: Json = schema["properties"]
    if issubclass(kind, Combinator):
        fields = {field: _with_layers(field, part) for field, part in fields.items()}
    others = {
        alias: {**fields[own], "description": f"The same as `{own}`."}
        for alias, own in kind.aliases.items()
        if own in fields and alias not in fields
    }
    lent = ["shares"] if "shares" in besides else []  # whatever is left out is the other layer's
    needed = [
        {"anyOf": [{"required": [one]} for one in (field, *_others(kind, field), *lent)]}
        for field in schema.get("required", ())
        if field != "type"
    ]
    return {
        "title": name,
        "description": _about(kind),
        "type": "object",
        "required": ["type"],
        "additionalProperties": False,
        "properties": {**fields, **others, **besides, "type": {**type_schema(kind), "description": _about(kind)}},
        **({"allOf": needed} if needed else {}),
        "examples": [dict(example) for example in _examples(kind)] or [{"type": name}],
    }


def _others(kind: type[Typed], field: str) -> list[str]:
    return [alias for alias, own in kind.aliases.items() if own == field and alias != field]


def _with_layers(field: str, part: Json) -> Json:
    """A field of a combinator, with what its lists hold."""
    if field == "merge":
        return {**part, "anyOf": [one_of(merges().words()), {"$ref": "#/$defs/Merge"}]}
    return {**part, **LISTS.get(field, {})}


def _examples(kind: type[Any]) -> list[Mapping[str, Any]]:
    return [getattr(example, "json", example) for example in getattr(kind, "examples", ())]


def _about(kind: type[Any]) -> str:
    return " ".join((inspect.getdoc(kind) or "").split())


def _clean(schema: Any) -> Any:
    """Without the titles that are made of names, and without defaults that say nothing."""
    if isinstance(schema, list):
        return [_clean(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {name: part for name, part in schema.items() if name != "title" or not isinstance(part, str)}
    if kept.get("default", 0) is None:
        del kept["default"]
    return {name: _clean(part) for name, part in kept.items()}
