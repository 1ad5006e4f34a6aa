"""Fields that every layer may carry, whatever its type."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from nets.errors import BrokenRule
from nets.layers.merge import MOST
from nets.spec.fields import Spec, shown

KEPT = ("id", "label", "x", "y", "position")  # builders' own: kept with a network, and without a meaning here
KEPT_KEYS = frozenset(KEPT)
MOST_KEPT = 4096  # characters of JSON in one layer


def names(value: object) -> object:
    """One name or a list of them."""
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list) or not all(isinstance(name, str) for name in listed):
        raise BrokenRule(f'must be a list of names of layers such as ["a", "b"], got {shown(value)}', "wrong_type")
    if not 1 <= len(listed) <= MOST:
        rule = f"must have 1 to {MOST} names, got {len(listed)}"
        raise BrokenRule(rule, "too_long" if listed else "too_short")
    return tuple(listed)


def name(value: object) -> object:
    if not isinstance(value, str):
        raise BrokenRule(f"must be the name of a layer, got {shown(value)}", "wrong_type")
    return value


NAMES = {"anyOf": [{"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": MOST}, {"type": "string"}]}
Names = Annotated[tuple[str, ...], BeforeValidator(names), WithJsonSchema(NAMES)]
Name = Annotated[str, BeforeValidator(name)]


class Common(Spec):
    """Fields that every layer may carry, whatever its type."""

    name: Name | None = Field(
        None, description="Name of the layer: unique in its list, not `input`, without dots and slashes."
    )
    inputs: Names | None = Field(
        None, description="Names of the layers to read; without it, the layer before. `input` is the network's input."
    )
    shares: Name | None = Field(
        None,
        description="Name of a layer of the same type, whose weights are used, and the options left out here.",
    )


def kept_json(sent: Mapping[str, Any]) -> str:
    """The builders' own keys of a layer as JSON, nothing without any; BrokenRule where they are too long for it."""
    if KEPT_KEYS.isdisjoint(sent):
        return ""
    found = {key: sent[key] for key in KEPT if key in sent}
    keys = ", ".join(found)
    try:
        text = json.dumps(found, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        raise BrokenRule(f"{keys}: must be JSON without NaN and not deeply nested", "malformed") from None
    if len(text) > MOST_KEPT:
        rule = f"up to {MOST_KEPT} characters of JSON in a layer, got {len(text)}"
        raise BrokenRule(f"{keys}: may have {rule}", "too_long")
    return text
