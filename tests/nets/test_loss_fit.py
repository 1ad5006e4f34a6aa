"""A loss goes with a network and a data set, or is refused with its place and a cure."""

from __future__ import annotations

from typing import Any

import pytest

from nets.architecture.read import parse_architecture
from nets.errors import SpecError
from nets.hyperparams.hyperparams import parse_hyperparams
from nets.training.check import check_fit
from tests.nets.builders import stripes

INFO = stripes().info  # three classes
LINEAR = {"type": "linear", "out": 3}


def problems(body: dict[str, Any], *end: dict[str, Any], layers: Any = None, **frame: Any) -> list[str]:
    a = parse_architecture({"input_shape": [1, 8, 8], "layers": layers or [LINEAR, *end], **frame})
    try:
        check_fit(a, parse_hyperparams(body), INFO)
    except SpecError as error:
        return [str(problem) for problem in error.problems]
    return []


SOFTMAX, LOG = {"type": "softmax"}, {"type": "logsoftmax"}
NLL = "hyperparams.loss: nll needs logarithms of probabilities, but the network ends in"


@pytest.mark.parametrize(
    ("body", "end", "told"),
    [
        ({"loss": "nll"}, [SOFTMAX], f"{NLL} softmax; end the network with logsoftmax, or use cross_entropy"),
        ({"loss": "kl_div"}, [], "kl_div needs logarithms of probabilities, but the network ends in linear"),
        ({"loss": {"type": "poisson_nll", "log_input": False}}, [], "loss.log_input: false needs rates, which are not"),
        ({"loss": {"type": "cross_entropy", "weight": [1, 2]}}, [], "loss.weight: must have 3 numbers, one for each class"),
        ({"loss": {"type": "bce", "pos_weight": [1] * 4}}, [], "loss.pos_weight: must have 3 numbers"),
        ({"loss": {"type": "cross_entropy", "ignore_index": 3}}, [], "loss.ignore_index: must be a class of"),
        ({"loss": {"type": "nll", "ignore_index": -1}}, [LOG], "0 to 2, or -100 for none, got -1"),
        ({"loss": "triplet", "batch_size": 1}, [], "hyperparams.batch_size: must be at least 3: triplet compares"),
        ({"loss": "contrastive", "augment": [{"type": "mixup"}]}, [], "hyperparams.augment[0]: mixup makes samples of two"),
        ({"regularizers": [{"type": "l1"}, {"type": "l1", "layers": "conv*"}]}, [], 'regularizers[1].layers: "conv*" names no'),
        ({"regularizers": [{"type": "l1", "layers": ["linear_0", "relu*"]}]}, [], '"relu*" names no layer with weights for'),
        ({"output_weights": {"aux": 1}}, [], "hyperparams.output_weights: needs a network that names several outputs"),
    ],
)  # fmt: skip
def test_what_cannot_be_computed_is_refused_with_place_and_cure(body: Any, end: Any, told: str) -> None:
    (problem,) = problems(body, *end)
    assert told in problem


@pytest.mark.parametrize(
    ("body", "end"),
    [
        ({"loss": "nll"}, [LOG]),
        ({"loss": {"type": "poisson_nll", "log_input": False}}, [SOFTMAX]),
        ({"loss": {"type": "cross_entropy", "weight": [1, 0, 2], "ignore_index": 2}}, [SOFTMAX]),
        ({"loss": "contrastive"}, [{"type": "relu"}, {"type": "linear", "out": 17}]),
        ({"loss": "mse"}, [SOFTMAX]),
    ],
)
def test_what_fits_is_taken(body: Any, end: Any) -> None:
    assert problems(body, *end) == []


def test_every_output_has_one_number_for_each_class() -> None:
    aux = {"type": "linear", "name": "aux", "inputs": ["stem"], "out": 4}
    layers = [{"type": "linear", "name": "stem", "out": 5}, {"type": "relu"}, {**LINEAR, "name": "main"}, aux]
    named = {"outputs": ["main", "aux"], "layers": layers}
    assert (
        "layers[3]: linear (layers[3]) is an output, and must give one number for each of the 3"
        in problems({}, **named)[0]
    )
    aux["out"] = 3
    assert problems({"output_weights": {"aux": 0.3}}, **named) == []
    (told,) = problems({"output_weights": {"axu": 1}}, **named)
    assert told.startswith('hyperparams.output_weights.axu: is not an output of the network. Did you mean "aux"?')
    assert "got only 0" in problems({"output_weights": {"aux": 0, "main": 0}}, **named)[0]


def test_every_output_has_numbers_that_the_loss_can_be_computed_of() -> None:
    """Those of logits are below any bound: such a run would end without a number."""
    layers = [
        {"type": "linear", "name": "stem", "out": 5},
        {"type": "linear", "out": 3},
        {"type": "logsoftmax", "name": "main"},
        {"type": "linear", "name": "aux", "inputs": ["stem"], "out": 3},
    ]
    named = {"outputs": ["main", "aux"], "layers": layers}
    (told,) = problems({"loss": "nll"}, **named)
    assert "but an output is linear (layers[3]); end it with logsoftmax, or use cross_entropy" in told
    (told,) = problems({"loss": {"type": "poisson_nll", "log_input": False}}, **named | {"outputs": ["aux", "main"]})[
        :1
    ]
    assert "but the network ends in linear; end it with softplus" in told
