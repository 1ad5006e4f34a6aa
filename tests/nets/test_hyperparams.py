from __future__ import annotations

from typing import Any

import pytest

from nets.errors import SpecError
from nets.hyperparams.hyperparams import merged, parse_hyperparams


def problems(body: Any) -> list[str]:
    with pytest.raises(SpecError) as caught:
        parse_hyperparams(body)
    return [str(problem) for problem in caught.value.problems]


def test_defaults_are_those_of_the_reference() -> None:
    h = parse_hyperparams(None)
    assert h == parse_hyperparams({})
    sent = h.to_json()
    of_the_reference = {
        "epochs": 5,
        "batch_size": 64,
        "accumulate": 1,
        "optimizer": {
            "type": "sgd",
            "lr": 0.1,
            "momentum": 0.0,
            "dampening": 0.0,
            "nesterov": False,
            "weight_decay": 0.0,
        },
        "loss": "cross_entropy",
        "seed": 42,
        "train_split": 0.9,
        "shuffle": True,
        "max_samples": 4096,
        "dataset_type": None,
        "keep_best": False,
        "ema": None,
        "swa": None,
        "metrics": [],
        "log_every": None,
        "early_stopping": None,
        "target": None,
        "max_seconds": None,
        "max_steps": None,
        "precision": "float32",
        "device": None,
    }
    assert {name: sent[name] for name in of_the_reference} == of_the_reference
    assert not any(value for name, value in sent.items() if name not in of_the_reference), "what is newer is left out"


def test_json_reads_back_as_the_same() -> None:
    h = parse_hyperparams({"optimizer": {"type": "adamw", "lr": 3e-4}, "max_samples": None, "dataset": "digits"})
    assert h.dataset_type == "digits"
    assert parse_hyperparams(h.to_json()) == h


def test_an_integer_valued_float_is_an_integer() -> None:
    assert parse_hyperparams({"epochs": 3.0}).epochs == 3


@pytest.mark.parametrize("kind", ["adam", "rmsprop"])
@pytest.mark.parametrize("sent", [{"momentum": 0.9}, {"momentum": None}, {"momentum": 0.9, "nesterov": True}], ids=str)
def test_momentum_that_builders_send_with_every_optimizer_is_ignored(kind: str, sent: dict[str, Any]) -> None:
    plain = {"type": kind, "lr": 0.001, "weight_decay": 0.1}
    assert parse_hyperparams({"optimizer": {**plain, **sent}}) == parse_hyperparams({"optimizer": plain})


@pytest.mark.parametrize("beside", [{"centered": False}, {"centered": True}, {"alpha": 0.99}, {"rho": 0.9}], ids=str)
def test_momentum_of_rmsprop_counts_beside_an_option_that_rmsprop_alone_has(beside: dict[str, Any]) -> None:
    made = parse_hyperparams({"optimizer": {"type": "rmsprop", "momentum": 0.9, **beside}})
    assert made.optimizer.numbers()["momentum"] == 0.9
    assert parse_hyperparams(made.to_json()) == made


def test_what_a_builder_sends_again_gets_no_meaning_from_what_is_kept() -> None:
    plain = parse_hyperparams({"optimizer": {"type": "rmsprop", "lr": 0.001}})
    again = merged(plain.to_json(), {"optimizer": {"type": "rmsprop", "lr": 0.001, "momentum": 0.9}})
    assert parse_hyperparams(again) == plain
    meant = merged(plain.to_json(), {"optimizer": {"momentum": 0.9}})
    assert parse_hyperparams(meant).optimizer.numbers()["momentum"] == 0.9
    more = merged(meant, {"optimizer": {"type": "rmsprop", "momentum": 0.5}})
    assert parse_hyperparams(more).optimizer.numbers()["momentum"] == 0.5


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"epochs": 0}, "hyperparams.epochs: must be at least 1, got 0"),
        ({"epochs": -3}, "must be at least 1, got -3"),
        ({"epochs": 2.5}, "hyperparams.epochs: must be a whole number, got 2.5"),
        ({"epochs": "5"}, 'must be a whole number, got "5"'),
        ({"epochs": True}, "must be a whole number, got true"),
        ({"epochs": None}, "must be a whole number, got null"),
        ({"batch_size": 0}, "hyperparams.batch_size: must be at least 1"),
        ({"train_split": 1}, "hyperparams.train_split: must be less than 1, got 1"),
        ({"train_split": 0}, "hyperparams.train_split: must be greater than 0, got 0"),
        ({"seed": -1}, "hyperparams.seed: must be at least 0"),
        ({"seed": 2**53}, "hyperparams.seed: must be at most 9007199254740991"),
        ({"shuffle": 1}, "hyperparams.shuffle: must be true or false, got 1"),
        ({"max_samples": 1}, "hyperparams.max_samples: must be at least 2"),
        ({"loss": "mes"}, "hyperparams.loss: must be one of cross_entropy, bce, focal, mse"),
        ({"loss": {"type": "huber", "dleta": 1}}, "loss.dleta: is not a field of huber. Did you mean 'delta'?"),
        ({"regularisers": {"type": "l1"}}, "hyperparams.regularisers: must be a list of regularizers"),
        ({"output_weights": {"aux": -1}}, 'hyperparams.output_weights: must be from 0 to 1e+06, got -1 of "aux"'),
        ({"output_weights": [1]}, "hyperparams.output_weights: must be an object of a number for each name"),
        ({"precision": "float16"}, "hyperparams.precision: must be 'float32' or 'bfloat16', got \"float16\""),
        ({"dataset_type": "mnits"}, "Did you mean 'mnist'?"),
        ({"dataset": "mnits"}, "hyperparams.dataset: must be one of"),
        ({"dataset": "mnist", "dataset_type": "digits"}, 'says "digits" where \'dataset\' says "mnist"; send one'),
        ({"optimizer": "sgd"}, "hyperparams.optimizer: must be an object such as"),
        ({"optimizer": {}}, "hyperparams.optimizer.type: is required; one of sgd, adam, adamw, rmsprop"),
        ({"optimizer": {"type": "sdg"}}, "Did you mean 'sgd'?"),
        ({"optimizer": {"type": "sgd", "lr": -1}}, "hyperparams.optimizer.lr: must be greater than 0, got -1"),
        ({"optimizer": {"type": "sgd", "lr": float("inf")}}, "must be a finite number"),
        ({"optimizer": {"type": "sgd", "lr": 10**400}}, "must be a finite number"),
        ({"optimizer": {"type": "sgd", "momentum": 1}}, "must be less than 1"),
        ({"optimizer": {"type": "sgd", "nesterov": True}}, "hyperparams.optimizer.nesterov: needs a momentum"),
        ({"optimizer": {"type": "adam", "betas": 0.9}}, "must be a pair of numbers such as [0.9, 0.999], got 0.9"),
        ({"optimizer": {"type": "adam", "momentum": "much"}}, "hyperparams.optimizer.momentum: must be a number"),
        ({"optimizer": {"type": "sgd", "alpha": 1}}, "is not a field of sgd"),
        ({"optimiser": {}}, "hyperparams.optimiser: is not a field of hyperparams. Did you mean 'optimizer'?"),
        ([], "hyperparams: must be an object, got []"),
    ],
)
def test_a_broken_rule_is_named_with_place_value_and_cure(body: Any, message: str) -> None:
    assert any(message in problem for problem in problems(body)), problems(body)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"optimizer": {"type": "adam", "betas": [0.9, 0.99999999]}}, "optimizer.betas: must be less than 1 as float32"),
        ({"optimizer": {"type": "adam", "betas": [0.99999999, 0.9]}}, "0.99999999 becomes 1 there; send at most 0.9999999"),
        ({"optimizer": {"type": "adamw", "eps": 1e-300}}, "optimizer.eps: must be greater than 0 as float32"),
        ({"optimizer": {"type": "adam", "eps": 1e-40}}, "1e-40 becomes 0 there; send at least 1.2e-38"),
        ({"optimizer": {"type": "rmsprop", "alpha": 1 - 1e-9}}, "optimizer.alpha: must be less than 1 as float32"),
        ({"optimizer": {"type": "sgd", "momentum": 1 - 1e-9}}, "optimizer.momentum: must be less than 1 as float32"),
        ({"optimizer": {"type": "sgd", "learning_rate": 1e-60}}, "optimizer.learning_rate: must be greater than 0 as float32"),
        ({"optimizer": {"type": "sgd", "weight_decay": 1e-60}}, "optimizer.weight_decay: must be 0 or at least 1.2e-38"),
        ({"optimizer": {"type": "adam", "betas": [1e-60, 0.9]}}, "optimizer.betas: must be 0 or at least 1.2e-38"),
        ({"train_split": 1 - 1e-12}, "hyperparams.train_split: must be less than 1 as float32"),
    ],
)  # fmt: skip
def test_a_number_that_rounds_to_its_bound_is_refused_with_the_rule(body: Any, message: str) -> None:
    (problem,) = problems(body)
    assert message in problem


def test_numbers_next_to_their_bounds_are_taken_as_they_came() -> None:
    adam = {"type": "adam", "lr": 1.2e-38, "betas": [0.9999999, 0.0], "eps": 1.2e-38, "weight_decay": 0}
    assert parse_hyperparams({"optimizer": adam}).optimizer.betas == (0.9999999, 0.0)  # type: ignore[attr-defined]


def test_all_problems_are_reported_at_once() -> None:
    found = problems({"epochs": 0, "lr": 1, "optimizer": {"type": "sgd", "lr": -1, "momentum": 2}})
    places = [problem.split(":")[0] for problem in found]
    assert places == [
        "hyperparams.epochs",
        "hyperparams.lr",
        "hyperparams.optimizer.lr",
        "hyperparams.optimizer.momentum",
    ]
