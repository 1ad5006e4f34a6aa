from __future__ import annotations

import time
from typing import Any

import jax
import pytest
from pydantic import ValidationError

from nets.architecture.read import Architecture, parse_architecture
from nets.errors import SpecError
from nets.hyperparams.hyperparams import Hyperparams, parse_hyperparams, unused_fields
from nets.hyperparams.optimizers import OPTIMIZERS
from nets.inspection.memory import check_memory, compile_seconds, memory_needed
from nets.kernels import plan_for
from nets.layers import LAYERS
from nets.spec.fields import Spec, open_bounds
from nets.training import programs
from nets.training.check import check_fit, doubts
from tests.nets.builders import network, stripes


def problems(body: Any) -> list[str]:
    with pytest.raises(SpecError) as caught:
        parse_hyperparams(body)
    return [str(problem) for problem in caught.value.problems]


def test_defaults_are_those_of_the_reference() -> None:
    h = parse_hyperparams(None)
    assert h == parse_hyperparams({})
    assert h.to_json() == {
        "epochs": 5,
        "batch_size": 64,
        "optimizer": {"type": "sgd", "lr": 0.1, "momentum": 0.0, "nesterov": False, "weight_decay": 0.0},
        "loss": "cross_entropy",
        "seed": 42,
        "train_split": 0.9,
        "shuffle": True,
        "max_samples": 4096,
        "dataset_type": None,
        "keep_best": False,
        "precision": "float32",
    }


def test_json_reads_back_as_the_same() -> None:
    h = parse_hyperparams({"optimizer": {"type": "adamw", "lr": 3e-4}, "max_samples": None, "dataset": "digits"})
    assert h.dataset_type == "digits"
    assert parse_hyperparams(h.to_json()) == h


def test_an_integer_valued_float_is_an_integer() -> None:
    assert parse_hyperparams({"epochs": 3.0}).epochs == 3


def test_momentum_of_adam_is_ignored_and_said() -> None:
    body = {"optimizer": {"type": "adam", "lr": 0.001, "momentum": 0.9}}
    assert parse_hyperparams(body) == parse_hyperparams({"optimizer": {"type": "adam", "lr": 0.001}})
    assert unused_fields(body) == ["hyperparams.optimizer.momentum: adam has no momentum; 0.9 is ignored"]
    assert unused_fields({"optimizer": {"type": "rmsprop", "momentum": 0}}) == []
    body = {"optimizer": {"type": "adam", "nesterov": True}}
    assert unused_fields(body) == ["hyperparams.optimizer.nesterov: adam has no nesterov; true is ignored"]


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
        ({"loss": "mse"}, 'hyperparams.loss: must be cross_entropy, got "mse"'),
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


@pytest.mark.parametrize("kind", [Hyperparams, *OPTIMIZERS.values(), *LAYERS.values()])
def test_every_open_bound_of_every_specification_holds_in_float32(kind: type[Spec]) -> None:
    example = getattr(kind, "examples", None)
    whole = kind.model_validate({**(example[0].json if example else {})}).model_dump(by_alias=True)
    for name, field in kind.model_fields.items():
        above, below = open_bounds(kind, name)
        for value in [*(1e-300 for _ in above), *(bound - 1e-12 for bound in below)]:
            with pytest.raises(ValidationError, match="as float32, in which networks are computed"):
                kind.model_validate({**whole, field.alias or name: (value, value) if name == "betas" else value})


def test_all_problems_are_reported_at_once() -> None:
    found = problems({"epochs": 0, "lr": 1, "optimizer": {"type": "sgd", "lr": -1, "momentum": 2}})
    places = [problem.split(":")[0] for problem in found]
    assert places == [
        "hyperparams.epochs",
        "hyperparams.lr",
        "hyperparams.optimizer.lr",
        "hyperparams.optimizer.momentum",
    ]


@pytest.mark.parametrize(
    ("shape", "outputs", "hyperparams", "message"),
    [
        ((1, 8, 9), 3, {}, "architecture.input_width: must be 8 for stripes"),
        ((2, 8, 8), 3, {}, "architecture.input_channels: must be 1 for stripes"),
        ((1, 8, 8), 4, {}, r"architecture.layers\[0\].out: the network must end in 3 outputs for the 3 classes"),
        ((1, 8, 8), 3, {"max_samples": 3, "train_split": 0.1}, "leaves no training samples: 0 to train and 3"),
        ((1, 8, 8), 3, {"max_samples": 2, "train_split": 0.01}, "hyperparams.train_split: .* change train_split"),
    ],
)  # fmt: skip
def test_a_network_that_does_not_fit_its_data_set(shape: Any, outputs: int, hyperparams: Any, message: str) -> None:
    a = network({"type": "linear", "out": outputs}, {"type": "softmax"}, shape=shape)
    with pytest.raises(SpecError, match=message):
        check_fit(a, parse_hyperparams(hyperparams), stripes().info)


def test_a_network_that_fits_its_data_set_passes() -> None:
    check_fit(network({"type": "linear", "out": 3}), parse_hyperparams({}), stripes().info)


NORM_1D = network({"type": "linear", "out": 4}, {"type": "batchnorm1d"}, {"type": "linear", "out": 3})
NORM_2D = network({"type": "batchnorm2d"}, {"type": "flatten"}, {"type": "linear", "out": 3})
PIXEL = network({"type": "maxpool2d", "kernel_size": 8}, {"type": "batchnorm2d"}, {"type": "linear", "out": 3})
RESIDUAL = network(
    {"type": "maxpool2d", "kernel_size": 8}, {"type": "residual_block", "out_channels": 2}, {"type": "linear", "out": 3}
)


@pytest.mark.parametrize("a", [NORM_1D, PIXEL, RESIDUAL])
def test_norms_that_would_see_single_values_alone_are_refused(a: Architecture) -> None:
    layer = r"(batchnorm1d|batchnorm2d|residual_block) \(layers\[1\]\)"
    with pytest.raises(SpecError, match=f"hyperparams.batch_size: must be at least 2: {layer} has a single value"):
        check_fit(a, parse_hyperparams({"batch_size": 1}), stripes().info)
    with pytest.raises(SpecError, match=f"train_split: leaves one training sample: {layer} has a single value"):
        check_fit(a, parse_hyperparams({"batch_size": 64, "max_samples": 2, "train_split": 0.5}), stripes().info)
    check_fit(a, parse_hyperparams({"batch_size": 2}), stripes().info)


def test_one_image_at_a_time_has_values_enough_for_a_norm() -> None:
    check_fit(NORM_2D, parse_hyperparams({"batch_size": 1}), stripes().info)
    assert list(doubts(NORM_2D, parse_hyperparams({"batch_size": 1}), stripes().info)) == []


@pytest.mark.parametrize(
    ("a", "what"), [(NORM_1D, "has a single value per channel there"), (NORM_2D, "has one image there")]
)
def test_a_last_batch_of_one_is_told_of(a: Architecture, what: str) -> None:
    def said(**fields: Any) -> list[str]:
        return list(doubts(a, parse_hyperparams({"max_samples": 50, "train_split": 0.82, **fields}), stripes().info))

    (sentence,) = said(batch_size=8)
    assert sentence.startswith("hyperparams.batch_size: 41 training samples in batches of 8 leave a last batch of one")
    assert what in sentence and sentence.endswith("a batch_size of 9 leaves none")
    for size in (1, 7, 9, 41, 64):
        assert said(batch_size=size) == [], size
    assert (
        list(doubts(network({"type": "linear", "out": 3}), parse_hyperparams({"batch_size": 8}), stripes().info)) == []
    )


@pytest.mark.parametrize("kind", ["batchnorm2d", "residual_block"])
def test_a_momentum_of_keras_is_told_of(kind: str) -> None:
    def said(momentum: float) -> list[str]:
        layer = {"type": kind, "momentum": momentum, **({"out_channels": 2} if kind == "residual_block" else {})}
        a = network({"type": "relu"}, layer, {"type": "linear", "out": 3})
        return list(doubts(a, parse_hyperparams({}), stripes().info))

    assert said(0.5) == said(0.1) == []
    (sentence,) = said(0.99)
    assert sentence == (
        "architecture.layers[1].momentum: 0.99 is the weight of each new batch in the running statistics, as in "
        "PyTorch; Keras's momentum of 0.99 is 0.01 here"
    )


def test_too_much_memory_is_refused_with_the_numbers() -> None:
    info, h = stripes().info, parse_hyperparams({"optimizer": {"type": "adam"}, "batch_size": 8})
    a = network({"type": "linear", "out": 1_000_000}, {"type": "linear", "out": 3})
    need = memory_needed(a, h, info)
    # Weights and Adam's two moments, as bytes of a file and as arrays read from it, of which one is most of the network.
    assert 2 * 3 * 4 * a.parameters < need.weights < 10 * 4 * a.parameters
    with pytest.raises(SpecError, match=r"layers: needs \d\.\d GB of parameters, .*; 0\.9 GB are available"):
        check_memory(a, h, info, available=1_000_000_000)
    check_memory(a, h, info, available=10_000_000_000)


def test_a_large_batch_that_goes_through_in_parts_needs_no_more_than_a_part() -> None:
    conv = [{"type": "conv2d", "out_channels": 8, "kernel_size": 3}, {"type": "relu"}, {"type": "linear", "out": 3}]
    norm = [conv[0], {"type": "batchnorm2d"}, *conv[1:]]
    small, large = (parse_hyperparams({"batch_size": size, "max_samples": None}) for size in (64, 4096))
    info = stripes(10_000).info
    plain = network(*conv)
    if plan_for(jax.default_backend(), training=True).micro_batch(plain.layers) == 64:
        assert memory_needed(plain, small, info).activations == memory_needed(plain, large, info).activations
    looks_across = network(*norm)
    assert (
        memory_needed(looks_across, large, info).activations > 50 * memory_needed(looks_across, small, info).activations
    )


def test_the_images_that_are_evaluated_at_a_time_count() -> None:
    conv = network({"type": "conv2d", "out_channels": 64, "kernel_size": 3}, {"type": "linear", "out": 3})
    one, many = (parse_hyperparams({"batch_size": size}) for size in (1, 16))
    assert memory_needed(conv, one, stripes().info).activations == memory_needed(conv, many, stripes().info).activations


def test_the_memory_of_compiling_counts() -> None:
    deep = network(
        *[{"type": "conv2d", "out_channels": 2, "kernel_size": 3, "padding": "same"}] * 100,
        {"type": "linear", "out": 3},
    )
    assert memory_needed(deep, parse_hyperparams({}), stripes().info).programs > 4e8
    assert compile_seconds(deep) > 100


def depthwise(size: int, *, channels: int = 16, **fields: Any) -> Architecture:
    """A convolution of every channel by itself, of images of 28 x 28."""
    by_itself = {"type": "conv2d", "out_channels": channels, "groups": channels, "kernel_size": size, **fields}
    layers = [{"type": "conv2d", "out_channels": channels, "kernel_size": 1}, by_itself, {"type": "linear", "out": 3}]
    return parse_architecture({"input_shape": [1, 28, 28], "layers": layers})


SAME = {"padding": "same"}
DEPTHWISE: list[dict[str, Any]] = [
    *({"size": size, **SAME} for size in (3, 15, 27)),
    {"size": 9, "dilation": 2, **SAME},
    {"size": 9, "stride": 2, "padding": 4},
    {"size": 9, "channels": 128, **SAME},
    {"size": [3, 27], **SAME},
]


def test_the_taps_of_depthwise_convolutions_count_for_the_time_of_compiling() -> None:
    """One of 27 x 27 takes 3 s of a free processor more than one of 3 x 3."""
    small, large = depthwise(3, **SAME), depthwise(27, **SAME)
    assert 3 < compile_seconds(large) - compile_seconds(small) < 10
    single = network({"type": "conv2d", "out_channels": 8, "kernel_size": 7}, {"type": "linear", "out": 3})
    assert compile_seconds(single) < 2, "a single channel is no group"


@pytest.mark.slow
@pytest.mark.parametrize("fields", DEPTHWISE)
def test_compiling_takes_no_longer_than_is_claimed(fields: dict[str, Any]) -> None:
    """By the time of processors, which does not depend on what else they do."""
    architecture = depthwise(**fields)
    wanted = programs.recipe(architecture, parse_hyperparams({}), train=900, samples=1200)
    began = time.process_time()
    for _, _, compile_part in programs.parts(wanted):
        compile_part()
    assert time.process_time() - began < compile_seconds(architecture)


def test_the_memory_of_padding_counts() -> None:
    layer = {"type": "conv2d", "out_channels": 8, "kernel_size": 3}
    plain, padded = (network({**layer, "padding": p}, {"type": "linear", "out": 3}) for p in ("same", 64))
    h, info = parse_hyperparams({}), stripes().info
    assert memory_needed(padded, h, info).activations > 50 * memory_needed(plain, h, info).activations
