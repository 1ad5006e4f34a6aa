"""A network answers as it was measured, one image at a time or many."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from nets.hyperparams.hyperparams import parse_hyperparams
from nets.inference import Predictor
from nets.kernels import plan_for
from nets.network import Network, initial_variables
from nets.training.events import Finished
from nets.training.fit import fit
from tests.nets.builders import network, stripes

A = network(
    {"type": "conv2d", "out_channels": 6, "kernel_size": 3, "padding": 1},
    {"type": "batchnorm2d"},
    {"type": "relu"},
    {"type": "flatten"},
    {"type": "linear", "out": 3},
)


@pytest.mark.parametrize("precision", ["bfloat16", "float32"])
def test_answers_are_those_of_the_test(precision: str) -> None:
    data = stripes()
    h = parse_hyperparams({"epochs": 2, "batch_size": 8, "precision": precision})
    finished = list(fit(A, h, data))[-1]
    assert isinstance(finished, Finished)
    images = data.test_inputs / np.float32(255)
    predictor = Predictor(A, finished.variables, precision=precision)
    many = predictor.probabilities(images)
    assert (many.argmax(1) == data.test_labels).mean() == pytest.approx(finished.test_accuracy)
    measured = finished.sample_predictions
    one_by_one = np.concatenate([predictor.probabilities(images[i : i + 1]) for i in range(len(measured))])
    for answers in (one_by_one, many[: len(measured)]):
        assert answers.argmax(1).tolist() == [sample.prediction for sample in measured]
        # A sum that ends close to where bfloat16 rounds otherwise is seldom, and depends on its order.
        assert np.median(np.abs(answers.max(1) - [sample.confidence for sample in measured])) < 1e-5
    coarse = Predictor(A, finished.variables).probabilities(images)
    assert (np.abs(coarse - many).max() > 1e-4) == (precision == "bfloat16"), "the precision makes a difference"


def test_samples_that_fill_a_batch_up_change_nothing_where_a_norm_has_no_running_statistics() -> None:
    a = network(
        {"type": "conv2d", "out_channels": 4, "kernel_size": 3},
        {"type": "batchnorm2d", "track_running_stats": False},
        {"type": "relu"},
        {"type": "linear", "out": 3},
    )
    variables, random = initial_variables(a.graph, seed=0), np.random.default_rng(0)
    images = random.random((5, 8, 8, 1), np.float32)
    predictor = Predictor(a, variables)
    exact = jax.nn.softmax(Network(a.graph, plan_for("cpu", training=False)).apply(variables, images, train=False))
    assert np.allclose(predictor.probabilities(images), exact, atol=1e-6)  # of a batch of 8
    predictor.few, predictor.largest = predictor.many, 8
    assert np.allclose(predictor.probabilities(images), exact, atol=1e-6)
    assert not np.allclose(predictor.probabilities(images[:2]), exact[:2], atol=1e-3), "each batch by its own"


def test_the_last_batch_of_an_evaluation_is_normalised_by_its_own_samples() -> None:
    layers = [{"type": "batchnorm2d", "track_running_stats": False}, {"type": "linear", "out": 3}]
    a, data = network(*layers), stripes(300)
    finished = list(fit(a, parse_hyperparams({"epochs": 1, "batch_size": 16}), data))[-1]
    assert isinstance(finished, Finished)
    predictor = Predictor(a, finished.variables)
    assert len(data.test_labels) % predictor.largest
    found = predictor.probabilities(data.test_inputs / np.float32(255)).argmax(1) == data.test_labels
    assert found.mean() == pytest.approx(finished.test_accuracy)
