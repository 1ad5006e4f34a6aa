"""What a field takes, as JSON Schema for programs: without titles, descriptions and defaults."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping
from contextlib import suppress
from functools import cache
from typing import Any

from pydantic import BaseModel

from nets.errors import UNSAID

Schema = dict[str, Any]

WORDS = ("title", "description", "default", "examples")
NULL = {"type": "null"}


def one_of(names: Collection[str | int]) -> Schema:
    """Any of these."""
    return {"enum": list(names)}


def one_field_of(*names: str) -> Schema:
    """An object that has just one of these fields; null is none."""
    there = [{"required": [name], "properties": {name: {"not": NULL}}} for name in names]
    return {"oneOf": there}


@cache
def allowed(model: type[BaseModel]) -> Mapping[str, Schema]:
    """What each field of a model takes, by its name as a client writes it.

    Without null where that is the default: it says the same as leaving the field out.
    """
    schema = model.model_json_schema()
    return {name: _allowed(part) for name, part in schema["properties"].items()} if "properties" in schema else {}


def _allowed(part: Schema) -> Schema:
    if "$ref" in part:  # of what is checked, and described, as a whole
        return {"type": "object"}
    kept = {name: value for name, value in part.items() if name not in WORDS and (name, value) != ("items", {})}
    choices = [plain(choice) for choice in kept.pop("anyOf", [])]
    if part.get("default", UNSAID) is None:
        choices = [choice for choice in choices if choice != NULL]
    if len(choices) == 1:
        return {**kept, **choices[0]}
    return {**kept, "anyOf": choices} if choices else plain(kept)


def plain(part: Any) -> Any:
    """A schema without its words."""
    if isinstance(part, list):
        return [plain(item) for item in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        return {"type": "object"}
    return {name: plain(value) for name, value in part.items() if name not in WORDS or isinstance(value, dict)}


def read_from_text(text: str, schema: Schema) -> Any:
    """The number or the truth value that a text stands for, where `schema` takes it; else UNSAID."""
    with suppress(ValueError):
        value = json.loads(text) if len(text) <= 32 else None
        if isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
            return value if takes(schema, value) else UNSAID
    return UNSAID


KINDS: Mapping[str, tuple[type, ...]] = {"string": (str,), "array": (list,), "object": (dict,)}


def fits(schema: Schema, value: Any) -> bool:
    """Whether a schema may take a value, as far as its kind, its choices and the bounds of a number tell."""
    if "anyOf" in schema:
        return any(fits(choice, value) for choice in schema["anyOf"])
    if "enum" in schema:
        return value in schema["enum"]
    kind = schema.get("type")
    if kind in ("number", "integer", "boolean"):
        return isinstance(value, int | float) and takes(schema, value)
    return kind is None or isinstance(value, KINDS.get(str(kind), ()))


def takes(schema: Schema, value: bool | int | float) -> bool:
    """Whether a schema of a number or a truth value takes one."""
    if "anyOf" in schema:
        return any(takes(choice, value) for choice in schema["anyOf"])
    if isinstance(value, bool) or schema.get("type") == "boolean":
        return isinstance(value, bool) and schema.get("type") == "boolean"
    if schema.get("type") not in ("number", "integer") or (schema["type"] == "integer" and value != int(value)):
        return False
    least, most = schema.get("minimum", value), schema.get("maximum", value)
    above, below = schema.get("exclusiveMinimum", value - 1), schema.get("exclusiveMaximum", value + 1)
    return bool(least <= value <= most and above < value < below)
