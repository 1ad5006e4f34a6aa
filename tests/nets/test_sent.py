"""Places in a request are told by the names that it has."""

from __future__ import annotations

from typing import Any

import pytest

from nets.errors import Change, Problem, SpecError
from nets.hyperparams.hyperparams import parse_hyperparams
from nets.hyperparams.parts import as_sent, names_at
from nets.inspection.report import read
from nets.spec.sent import followed, in_words_of

LAYERS = [{"type": "linear", "out": 10}]


def test_a_place_is_followed_as_far_as_there_is_something() -> None:
    body = {"outer": [{"older": {"x": 1}}]}

    def names(place: Any, fields: Any) -> dict[str, str]:
        return {"older": "own"} if place == ("outer", 0) else {}

    assert followed(("outer", 0, "own", "x"), body, names) == (("outer", 0, "older", "x"), ())
    assert followed(("outer", 0, "own", "y"), body, names) == (("outer", 0, "older"), ("y",))
    assert followed(("outer", 1), body, names) == (("outer",), (1,))
    change = Change("move", ("root", "outer", 0, "own"), source=("root", "elsewhere"))
    told = in_words_of(body, Problem(("root", "outer", 0, "own"), "", "conflict", fix=(change,)), names, ("root",))
    assert told.path == told.fix[0].path == ("root", "outer", 0, "older") and told.fix[0].source == (
        "root",
        "elsewhere",
    )


@pytest.mark.parametrize(
    ("sent", "place"),
    [
        ({"swa": {"start_epoch": 9}}, "hyperparams.swa.start_epoch"),
        ({"swa": {"from_epoch": 9}}, "hyperparams.swa.from_epoch"),
        ({"early_stopping": {"monitor": "f1"}}, "hyperparams.early_stopping.monitor"),
        ({"lr_schedule": {"type": "plateau", "monitor": "f1"}}, "hyperparams.lr_schedule.monitor"),
    ],
)
def test_conflicts_stand_where_they_came(sent: dict[str, Any], place: str) -> None:
    with pytest.raises(SpecError) as error:
        parse_hyperparams(sent)
    assert [problem.place for problem in error.value.problems] == [place]


@pytest.mark.parametrize(
    ("sent", "place"),
    [
        ({"loss": {"type": "cross_entropy", "class_weights": [1]}}, "hyperparams.loss.class_weights"),
        ({"regularisers": [{"type": "l1", "layers": "x"}]}, "hyperparams.regularisers[0].layers"),
    ],
)
def test_so_do_problems_of_the_network_and_the_data(sent: dict[str, Any], place: str) -> None:
    body = {"architecture": {"layers": LAYERS}, "hyperparams": {"dataset": "digits", **sent}}
    assert [problem.place for problem in read(body).problems] == [place]


def test_names_of_each_part_are_its_own() -> None:
    assert names_at((), {})["dataset"] == "dataset_type"
    assert names_at(("regularisers", 0), {"type": "l1"}) == names_at(("regularizers", 0), {"type": "l1"})
    assert names_at(("groups", 0), {}) == {"learning_rate": "lr"}
    assert names_at(("optimizer",), {"type": "nothing"}) == {} == names_at(("seed",), {})
    problem = Problem(("architecture", "layers"), "", "missing")
    assert as_sent([problem], {"hyperparams": None}).problems == (problem,)
