"""Problems have a place, are told up to a number, and tell programs what is expected, what came, and what would do."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import jsonschema_rs
import pytest

from nets.architecture.combinators import COMBINATORS
from nets.architecture.common import Common
from nets.architecture.read import parse_architecture
from nets.errors import CODES, LONGEST_NAME, LONGEST_TEXT, MOST_PROBLEMS, UNSAID, Problem, SpecError, shortened
from nets.hyperparams.hyperparams import Hyperparams, parse_hyperparams
from nets.layers import LAYERS
from nets.optimizers import OPTIMIZERS
from nets.spec.fields import wire_names
from tests.nets.builders import input_of
from tests.patches import applied

Json = dict[str, Any]
BROKEN: list[Any] = ["x", "64", -1, 0, 1, 1e9, 2.5, 1e-300, 10**30, True, None, [], [1, 2, 3], [0, 70], {}, {"a": 1}]
SAYING = {"wrong_type", "not_one_of", "out_of_range", "too_long", "too_short", "unknown_name"}


def problem_at(*path: str | int, detail: str = "must be 3, got 4") -> Problem:
    return Problem(path, detail, "mismatch")


def test_a_place_is_a_json_pointer_and_a_path_as_a_person_writes_it() -> None:
    problem = problem_at("architecture", "layers", 7, "in/out~")
    assert problem.pointer == "/architecture/layers/7/in~1out~0"
    assert str(problem) == "architecture.layers[7].in/out~: must be 3, got 4"
    assert problem_at().place == "body"


def test_a_clients_long_name_is_cut() -> None:
    assert problem_at("x" * 10_000).place == "x" * LONGEST_NAME + "..."


@pytest.mark.parametrize("count", [1, MOST_PROBLEMS, MOST_PROBLEMS + 1])
def test_as_many_problems_are_told_as_anyone_reads(count: int) -> None:
    error = SpecError([problem_at(number, detail="is wrong") for number in range(count)])
    assert len(error.problems) == min(count, MOST_PROBLEMS) and str(error) == "[0]: is wrong"


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (list(range(9)), [*range(8), "... 1 more"]),
        (
            {str(number): number for number in range(9)},
            {**{str(number): number for number in range(8)}, "...": "1 more"},
        ),
        ("y" * 1000, "y" * LONGEST_TEXT + "..."),
        ([[[[[1]]]]], [[[["... 1 more"]]]]),
        (math.nan, "nan"),
        (10**30, "a whole number beyond 64 bits"),
        ("\ud800", "\\ud800"),
        (None, None),
    ],
)
def test_what_came_is_told_in_short(value: Any, told: Any) -> None:
    assert shortened(value) == told


def problems_of(parse: Callable[[Any], object], body: Any) -> tuple[Problem, ...]:
    try:
        parse(body)
    except SpecError as error:
        return error.problems
    return ()


def check(parse: Callable[[Any], object], body: Any, root: str) -> int:
    """Every problem of a body says what programs need, and a fix removes it."""
    found = problems_of(parse, body)
    for problem in found:
        told = problem.to_json()
        assert told["code"] in CODES and (problem.expected is not UNSAID or problem.code == "unused"), problem
        expected, got = told["expected"], told["got"]
        if isinstance(expected, dict):
            valid = jsonschema_rs.validator_for(expected).is_valid(got)
            assert not valid or problem.code not in SAYING or problem.got in (10**30, None), (problem, told)
        else:
            assert got != expected, problem
        if problem.fix:
            mended = applied(told["fix"], {root: body})[root]
            left = {(other.path, other.code, other.detail) for other in problems_of(parse, mended)}
            assert (problem.path, problem.code, problem.detail) not in left, problem
    return len(found)


def layer_bodies(name: str) -> Iterator[Json]:
    """Networks around the first example of a layer type with one input, each with one field broken."""
    for example in [each for each in LAYERS[name].examples[:2] if len(each.takes) == 1][:1]:
        given, sent = input_of(example.takes[0]), dict(example.json)
        for field in [*wire_names(LAYERS[name]), *LAYERS[name].aliases, *Common.model_fields, "fooo", "batch"]:
            for value in BROKEN:
                layers = [{**sent, field: value}, {"type": "flatten"}, {"type": "linear", "out": 10}]
                yield {**given, "layers": layers}
        for field in sent:
            rest = {key: value for key, value in sent.items() if key != field}
            yield {**given, "layers": [rest, {"type": "flatten"}, {"type": "linear", "out": 10}]}


@pytest.mark.parametrize("name", LAYERS)
def test_every_field_of_every_layer_that_is_broken_says_what_is_expected(name: str) -> None:
    found = sum(check(parse_architecture, body, "architecture") for body in layer_bodies(name))
    assert found > 50 or LAYERS[name].arity[0] > 1


@pytest.mark.parametrize("name", COMBINATORS)
def test_every_field_of_every_combinator_that_is_broken_says_what_is_expected(name: str) -> None:
    sent = dict(COMBINATORS[name].examples[0])
    for field in wire_names(COMBINATORS[name]):
        for value in [*BROKEN, "addd", [[{"type": "relu"}], 3]]:
            layers = [{**sent, field: value}, {"type": "flatten"}, {"type": "linear", "out": 10}]
            for shape in ([4, 8, 8], [5, 6]):
                check(parse_architecture, {"input_shape": shape, "layers": layers}, "architecture")


@pytest.mark.parametrize(
    ("shape", "layer"),
    [
        ([2, 4, 5], {"type": "crop2d"}),
        ([2, 4, 5], {"type": "crop2d", "cropping": 1, "size": 2}),
        ([2, 4, 5], {"type": "crop2d", "cropping": [3, 2, 0, 0]}),
        ([2, 4, 5], {"type": "zeropad2d", "padding": [-3, -2, 9, 9]}),
        ([2, 4, 5], {"type": "upsample", "scale_factor": 0.1}),
        ([2, 4, 5], {"type": "upsample", "scale_factor": 2, "size": 8}),
        ([4, 5], {"type": "upsample", "size": [2, 3]}),
        ([12], {"type": "reshape", "shape": [13]}),
        ([12], {"type": "reshape", "shape": [2, 7]}),
        ([12], {"type": "reshape", "shape": [5, 7, 5]}),
        ([12], {"type": "reshape", "shape": [5, -1]}),
        ([5, 6], {"type": "slice", "start": 5}),
        ([5, 6], {"type": "slice", "start": -2, "end": 3}),
        ([5, 6], {"type": "slice", "index": 1, "start": 1}),
        ([2, 4, 5], {"type": "invertedresidual", "out_channels": 2, "kernel_size": 4}),
        ([2, 2, 1], {"type": "convtranspose2d", "filters": 2, "kernel_size": 1, "padding": 2}),
        ([1, 1, 4], {"type": "maxpool2d", "kernel_size": 2, "padding": 1, "dilation": 2}),
    ],
)
def test_what_a_layer_takes_of_what_is_before_it_is_told_to_programs(shape: list[int], layer: Json) -> None:
    layers = [layer, {"type": "flatten"}, {"type": "linear", "out": 10}]
    body = {"input_shape": shape, "layers": layers}
    assert check(parse_architecture, body, "architecture") == 1
    (problem,) = problems_of(parse_architecture, body)
    one_of = problem.expected["enum"] if isinstance(problem.expected, dict) and "enum" in problem.expected else []
    for value in one_of:
        mended = [{**layer, str(problem.path[-1]): value}, *layers[1:]]
        assert not problems_of(parse_architecture, {**body, "layers": mended}), value


FRAMES: list[Json] = [
    {field: value}
    for field in ("input_size", "input_channels", "input_shape", "input_vocabulary", "lairs")
    for value in BROKEN
]


@pytest.mark.parametrize(
    "extra",
    [
        *FRAMES,
        {"input_size": 784, "input_height": 3},
        {"input_shape": [1, 2, 3], "input_width": 5},
        {"input_shape": [7], "input_width": 5},
    ],
)
def test_a_broken_frame_says_what_is_expected(extra: Json) -> None:
    check(parse_architecture, {**extra, "layers": [{"type": "linear", "out": 10}]}, "architecture")


@pytest.mark.parametrize(
    ("layer", "pointer", "value"),
    [
        ({"type": "relu", "inputs": ["frist"]}, "/architecture/layers/1/inputs", ["first"]),
        ({"type": "add", "inputs": ["input", "frist"]}, "/architecture/layers/1/inputs", ["input", "first"]),
        ({"type": "linear", "shares": "frist"}, "/architecture/layers/1/shares", "first"),
        ({"type": "batchnorm2d"}, "/architecture/layers/1/type", "batchnorm1d"),
        ({"type": "relu", "name": "input"}, None, None),
    ],
)
def test_what_was_meant_by_a_graph_is_mended(layer: Json, pointer: str | None, value: Any) -> None:
    layers = [{"type": "linear", "out": 784, "name": "first"}, layer, {"type": "linear", "out": 10}]
    body = {"input_shape": [784], "layers": layers}
    assert check(parse_architecture, body, "architecture")
    told = [problem.to_json() for problem in problems_of(parse_architecture, body)]
    fixes = [change for problem in told for change in problem.get("fix", [])]
    assert fixes == ([] if pointer is None else [{"op": "replace", "path": pointer, "value": value}])


def test_a_size_that_fits_one_copy_of_a_layer_alone_is_left_out() -> None:
    layers = [
        {"type": "repeat", "times": 2, "layers": [{"type": "linear", "in": 784, "out": 5}]},
        {"type": "linear", "out": 10},
    ]
    body = {"input_shape": [784], "layers": layers}
    assert check(parse_architecture, body, "architecture") == 1
    (told,) = (problem.to_json() for problem in problems_of(parse_architecture, body))
    assert told["fix"] == [{"op": "remove", "path": "/architecture/layers/0/layers/0/in"}]


def hyperparams_bodies() -> Iterator[Json]:
    for field in [*wire_names(Hyperparams), "epoch", "lr", "dataset", "fooo"]:
        for value in [*BROKEN, "mnits"]:
            yield {field: value, "optimizer": {"type": "adam"}} if field != "optimizer" else {field: value}
    for kind, optimizer in OPTIMIZERS.items():
        for field in [*wire_names(optimizer), "learning_rat", "learning_rate", "momentum", "nesterov"]:
            for value in [*BROKEN, [0.9, 2], "addam"]:
                yield {"optimizer": {"type": kind, field: value}}


def test_every_hyperparameter_that_is_broken_says_what_is_expected() -> None:
    assert sum(check(parse_hyperparams, body, "hyperparams") for body in hyperparams_bodies()) > 300
