"""Fields of specifications: what they take, and in which words they refuse."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from nets.hyperparams.hyperparams import Hyperparams
from nets.layers import LAYERS
from nets.optimizers import OPTIMIZERS
from nets.spec.fields import Spec, open_bounds, pair, shown, size


@pytest.mark.parametrize("kind", [Hyperparams, *OPTIMIZERS.values(), *LAYERS.values()])
def test_every_open_bound_of_every_specification_holds_in_float32(kind: type[Spec]) -> None:
    example = getattr(kind, "examples", None)
    whole = kind.model_validate({**(example[0].json if example else {})}).model_dump(by_alias=True)
    for name, field in kind.model_fields.items():
        above, below = open_bounds(kind, name)
        for value in [*(1e-300 for _ in above), *(bound - 1e-12 for bound in below)]:
            with pytest.raises(ValidationError, match="as float32, in which networks are computed"):
                several = (value,) * len(field.default) if isinstance(field.default, tuple) else value
                kind.model_validate({**whole, field.alias or name: several})


def test_a_size_is_one_number_or_a_pair() -> None:
    assert [pair(size(value, least=1)) for value in (3, 3.0, [2, 5])] == [(3, 3), (3, 3), (2, 5)]
    for value in ([1, 2, 3], [], "3", True, [0, 1], 65):
        with pytest.raises(ValueError, match=r"^must be .*, got "):
            size(value, least=1)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"type": "relu"}, '{"type": "relu"}'),
        ("x" * 100, '"' + "x" * 56 + "..."),
        ([0] * 1000, "a list of 1000 values"),
        (dict.fromkeys(range(61)), "an object of 61 values"),
        ({1, 2}, "set"),
    ],
)
def test_a_value_is_shown_as_json_and_in_short(value: Any, said: str) -> None:
    assert shown(value) == said
