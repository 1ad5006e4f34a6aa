"""What no part of a request can tell on its own: whether network, hyperparameters and data set go together."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from nets.architecture.architecture import Architecture
from nets.errors import SpecError
from nets.hyperparams.hyperparams import parse_hyperparams
from nets.spec.values import Value, features, image, sequence, tokens
from nets.training.check import check_fit, check_pace, unlike
from nets.training.pace import LONGEST_STEP, sample_seconds
from nets.training.workload import workload_of
from tests.nets.builders import network, stripes


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


@pytest.mark.parametrize(
    ("given", "wanted", "said"),
    [
        (image(1, 8, 8), features(16), "input_shape: must be [16] for stripes, each sample of which is a row of features"),
        (features(16), sequence(4, 4), "a sequence, got a row of features: [16]"),
        (features(12), tokens(12, 90), "a row of tokens, got a row of features: [12]"),
        (sequence(4, 3), sequence(4, 4), "must be [4, 4] for stripes, each sample of which is a sequence, got a sequence: [4, 3]"),
        (tokens(12, 80), tokens(12, 90), "architecture.input_vocabulary: must be at least 90 for stripes, got 80"),
        (image(1, 8, 8), image(1, 9, 8), "architecture.input_height: must be 9 for stripes (its images are 1 x 9 x 8), got 8"),
    ],
)  # fmt: skip
def test_what_a_network_takes_and_samples_are_not(given: Value, wanted: Value, said: str) -> None:
    (problem,) = unlike(given, replace(stripes().info, value=wanted))
    assert said in str(problem)


def test_a_vocabulary_may_be_larger_than_that_of_the_data_set() -> None:
    assert list(unlike(tokens(12, 100), replace(stripes().info, value=tokens(12, 90)))) == []


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


def test_a_long_step_that_cannot_be_cut_is_refused_with_the_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nets.training.check.cores", lambda: 2)
    info = replace(stripes().info, value=image(1, 28, 28), train_size=60_000)
    conv = {"type": "conv2d", "out_channels": 256, "kernel_size": 3, "padding": "same"}
    normed = network(conv, conv, {"type": "batchnorm2d"}, {"type": "linear", "out": 3}, shape=(1, 28, 28))

    def of_batch(size: int) -> Any:
        return parse_hyperparams({"batch_size": size, "max_samples": None, "train_split": 0.8})

    h = of_batch(65_536)
    with pytest.raises(
        SpecError,
        match=r"batch_size: must be at most \d+ for this network, got 65536: a step of 48000 images takes about \d+",
    ):
        check_pace(normed, h, info)
    most = int(LONGEST_STEP / sample_seconds(workload_of(normed, h, train=48_000, samples=70_000).steps.network))
    check_pace(normed, of_batch(most), info)
    # Measured: 1.3 s on two cores.
    usual = network(
        {**conv, "out_channels": 64},
        {"type": "maxpool2d", "kernel_size": 2},
        *[conv, {"type": "batchnorm2d"}, {"type": "relu"}] * 2,
        {"type": "linear", "out": 3},
        shape=(1, 28, 28),
    )
    check_pace(usual, of_batch(512), info)
    taps = {"type": "conv2d", "out_channels": 32, "kernel_size": 15, "groups": 32, "padding": "same"}
    tall = network(
        {**conv, "out_channels": 32, "kernel_size": 1},
        taps,
        {"type": "batchnorm2d"},
        {"type": "linear", "out": 3},
        shape=(1, 28, 28),
    )
    with pytest.raises(SpecError, match="must be at most"):  # 3.5 s for 800, although its products are few
        check_pace(tall, of_batch(800), info)
    with monkeypatch.context() as larger:
        larger.setattr("nets.training.check.cores", lambda: 4)
        check_pace(tall, of_batch(800), info)
    wide = network(
        {**conv, "out_channels": 4000},
        {**conv, "out_channels": 4000, "kernel_size": 9},
        {"type": "linear", "out": 3},
        shape=(1, 28, 28),
    )
    with pytest.raises(SpecError, match=r"layers: one image takes about \d+\.\d s forward and back"):
        check_pace(wide, of_batch(1), info)
