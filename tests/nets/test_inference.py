"""A network answers as it was measured, one image at a time or many."""

from __future__ import annotations

import numpy as np
import pytest

from nets.hyperparams.hyperparams import parse_hyperparams
from nets.inference import Predictor
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
