"""What an architecture may be, as JSON Schema."""

from __future__ import annotations

from typing import Any

from nets.architecture.combinators import COMBINATORS
from nets.architecture.common import KEPT, Common
from nets.architecture.frame import Frame
from nets.layers import LAYERS


def architecture_schema() -> dict[str, Any]:
    """The frame and, as a choice, every layer type and combinator with its fields and their other names."""
    besides = {**Common.model_json_schema()["properties"], **{key: {} for key in KEPT}}
    choices = [
        {**choice, "properties": {**choice["properties"], **besides}}
        for registry in (LAYERS, COMBINATORS)
        for choice in registry.schema()["anyOf"]
    ]
    schema = Frame.model_json_schema()
    layers = {"type": "array", "minItems": 1, "items": {"anyOf": choices}}
    return {**schema, "title": "Architecture", "properties": {**schema["properties"], "layers": layers}}
