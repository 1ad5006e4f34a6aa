"""What an architecture may be, as JSON Schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nets.architecture.combinators import COMBINATORS
from nets.architecture.common import KEPT, Common
from nets.architecture.frame import Frame
from nets.layers import LAYERS

Json = dict[str, Any]
LAYER = "Layer"


def lists_of_layers(layer: Json) -> Mapping[str, Json]:
    """The fields of combinators that hold layers. `layer`: the schema of one."""
    layers = {"type": "array", "items": layer}
    return {
        "layers": {**layers, "minItems": 1},
        "shortcut": {"anyOf": [layers, {"type": "null"}]},
        "branches": {"items": layers},
    }


def architecture_schema(layer: Json) -> Json:
    """The frame and its list of layers. `layer`: the schema of one."""
    schema = Frame.model_json_schema()
    layers = lists_of_layers(layer)["layers"]
    return {**schema, "title": "Architecture", "properties": {**schema["properties"], "layers": layers}}


def layer_schemas(prefix: str) -> dict[str, Json]:
    """A layer as a choice by its `type`, and every layer type and combinator with its fields and their other names.

    prefix: where they stand, such as `#/components/schemas/`. Each stands by itself and is named where it is meant:
    programs that draw values from schemas, or code, look at one at a time, and give up on all of them in one place.
    """
    besides = {**Common.model_json_schema()["properties"], **{key: {} for key in KEPT}}
    lists = lists_of_layers(_ref(prefix, LAYER))
    kinds = [kind for registry in (LAYERS, COMBINATORS) for kind in registry.schema()["anyOf"]]
    made: dict[str, Json] = {}
    for kind in kinds:
        fields: Json = {**kind["properties"], **besides}
        if kind["title"] in COMBINATORS:
            fields |= {name: {**fields[name], **held} for name, held in lists.items() if name in fields}
        made[component(kind["title"])] = {**kind, "properties": fields, "additionalProperties": False}
    named = {name: kind for kind in (*LAYERS.values(), *COMBINATORS.values()) for name in _names(kind)}
    return {LAYER: _choice(prefix, made, named), **made}


def component(name: str) -> str:
    """Under which name the schema of a type stands."""
    return f"layer.{name}"


def _choice(prefix: str, made: Mapping[str, Json], named: Mapping[str, Any]) -> Json:
    mapping = {word: _ref(prefix, component(kind.model_fields["type"].default))["$ref"] for word, kind in named.items()}
    return {
        "title": LAYER,
        "description": "A layer or a combinator: `type` says which, and which fields there are.",
        "oneOf": [_ref(prefix, name) for name in made],
        "discriminator": {"propertyName": "type", "mapping": mapping},
    }


def _names(kind: Any) -> tuple[str, ...]:
    return (kind.model_fields["type"].default, *kind.also)


def _ref(prefix: str, name: str) -> Json:
    return {"$ref": f"{prefix}{name}"}
