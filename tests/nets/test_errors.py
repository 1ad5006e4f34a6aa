"""Problems have a place, and are told up to a number."""

from __future__ import annotations

import pytest

from nets.errors import LONGEST_NAME, MOST_PROBLEMS, Problem, SpecError


def test_a_place_is_a_json_pointer_and_a_path_as_a_person_writes_it() -> None:
    problem = Problem(("architecture", "layers", 7, "in/out~"), "must be 3, got 4")
    assert problem.pointer == "/architecture/layers/7/in~1out~0"
    assert str(problem) == "architecture.layers[7].in/out~: must be 3, got 4"
    assert Problem((), "must be an object").place == "body"


def test_a_clients_long_name_is_cut() -> None:
    place = Problem(("x" * 10_000,), "is not a field").place
    assert place == "x" * LONGEST_NAME + "..."


@pytest.mark.parametrize("count", [1, MOST_PROBLEMS, MOST_PROBLEMS + 1])
def test_as_many_problems_are_told_as_anyone_reads(count: int) -> None:
    error = SpecError([Problem((number,), "is wrong") for number in range(count)])
    assert len(error.problems) == min(count, MOST_PROBLEMS) and str(error) == "[0]: is wrong"
