"""Lists of what a registry names: each is checked, and what is no list is told what to write."""

from __future__ import annotations

from typing import Any

import pytest

from nets.errors import SpecError
from nets.regularizers.base import REGULARIZERS
from nets.spec.listed import parse_list


def problems(value: Any, most: int = 3) -> list[Any]:
    with pytest.raises(SpecError) as error:
        parse_list(REGULARIZERS, value, ("list",), most=most)
    return list(error.value.problems)


def test_a_list_is_read_in_its_order_and_null_is_none() -> None:
    assert parse_list(REGULARIZERS, None, (), most=1) == ()
    assert [each.type for each in parse_list(REGULARIZERS, [{"type": "orthogonal"}, {"type": "l1"}], (), most=2)] == [
        "orthogonal",
        "l1",
    ]


def test_every_problem_has_its_place() -> None:
    assert [problem.place for problem in problems([{"type": "l1", "weight": 0}, {"type": "l1"}, 5])] == [
        "list[0].weight",
        "list[2]",
    ]
    assert problems([{"type": "l1"}] * 4)[0].code == "too_long"


@pytest.mark.parametrize(
    ("value", "told", "meant"),
    [
        ("l1", 'got "l1"; write [{"type": "l1"}]', [{"type": "l1"}]),
        ({"type": "l1"}, "; put it into a list", [{"type": "l1"}]),
        (7, 'got 7, such as [{"type": "l1"', None),
        ("quantum", 'got "quantum", such as [{"type": "l1"', None),
    ],
)
def test_what_is_no_list_becomes_one_where_it_is_known_how(value: Any, told: str, meant: Any) -> None:
    (problem,) = problems(value)
    assert told in problem.detail
    assert [change.value for change in problem.fix] == ([] if meant is None else [meant])
