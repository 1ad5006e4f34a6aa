"""JSON to a checked list of regularizers."""

from __future__ import annotations

from nets.errors import Path
from nets.regularizers.base import REGULARIZERS, Regularizer
from nets.spec.listed import parse_list

MOST_REGULARIZERS = 16


def parse_regularizers(value: object, path: Path) -> tuple[Regularizer, ...]:
    """The regularizers of a list, null for none; SpecError with every problem."""
    return parse_list(REGULARIZERS, value, path, most=MOST_REGULARIZERS)
