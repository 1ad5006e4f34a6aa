"""What fields take, for programs: schemas without words, and numbers that came as text."""

from __future__ import annotations

from typing import Any

import pytest

from nets.errors import UNSAID
from nets.hyperparams.hyperparams import Hyperparams
from nets.layers import LAYERS
from nets.optimizers import OPTIMIZERS
from nets.spec.allowed import allowed, read_from_text


def test_null_is_taken_only_where_it_means_something() -> None:
    assert allowed(Hyperparams)["epochs"] == {"type": "integer", "minimum": 1, "maximum": 100_000}
    assert allowed(Hyperparams)["max_samples"] == {"anyOf": [{"type": "integer", "minimum": 2}, {"type": "null"}]}
    assert allowed(LAYERS["linear"])["in"] == {"type": "integer", "minimum": 1, "maximum": 10_000_000}


@pytest.mark.parametrize("kind", [Hyperparams, *OPTIMIZERS.values(), *LAYERS.values()])
def test_every_field_takes_something(kind: Any) -> None:
    for name, schema in allowed(kind).items():
        assert schema and not {"title", "description", "default", "$ref"} & schema.keys(), name


@pytest.mark.parametrize(
    ("text", "name", "meaning"),
    [
        ("64", "epochs", 64),
        ("6.0", "epochs", 6),
        ("0", "epochs", UNSAID),
        ("6.5", "epochs", UNSAID),
        ("six", "epochs", UNSAID),
        ("1e999", "train_split", UNSAID),
        ("NaN", "train_split", UNSAID),
        ("1e400", "epochs", UNSAID),
        ("0.9", "train_split", 0.9),
        ("1", "train_split", UNSAID),
        ("true", "shuffle", True),
        ("1", "shuffle", UNSAID),
        ("9" * 50, "epochs", UNSAID),
    ],
)
def test_a_number_that_came_as_text_is_read_where_it_would_do(text: str, name: str, meaning: Any) -> None:
    assert read_from_text(text, allowed(Hyperparams)[name]) == meaning
